package emit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// ErrUnknownTopic means that the event log takes no events of that topic: no group's configuration names it. The error
// that wraps it lists those that are known.
var ErrUnknownTopic = errors.New("unknown topic")

// Producer appends events to the log. The zero value is ready for use, by any goroutine.
type Producer struct {
	Schema string // default jobs.DefaultSchema
}

// Querier is what Emit needs of a pgx.Tx, a *pgx.Conn or a *pgxpool.Pool.
type Querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// CopyTarget is what EmitAll needs of a pgx.Tx, a *pgx.Conn or a *pgxpool.Pool.
type CopyTarget interface {
	CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error)
}

// defaultDedupWindow is also that of the function pgsolo.emit.
const defaultDedupWindow = 24 * time.Hour

const callEmit = `select pgsolo.emit(topic => $1, payload => $2, key => $3, headers => $4, deliver_at => $5,
	dedup_key => $6, dedup_window => $7)`

// Emit appends one event, as part of the transaction that db is, and returns its id. The id 0 means that the event was
// dropped because of its DedupKey. Without a transaction the event is committed when Emit returns.
//
// What is wrong with an event by itself is refused before the server sees it, so that the transaction can go on. What
// only the server can find aborts the transaction: an unknown topic (ErrUnknownTopic), and a number in the payload that
// is beyond numeric.
//
// Two transactions that emit one DedupKey at a time wait for each other, and may deadlock where each emits several in
// another order. In REPEATABLE READ and SERIALIZABLE the second one may fail with SQLSTATE 40001, and is to be tried
// again.
func (p Producer) Emit(ctx context.Context, db Querier, event Event) (id int64, err error) {
	schema, err := pg.SchemaOrDefault(p.Schema)
	if err != nil {
		return 0, fmt.Errorf("emit event: %w", err)
	}
	if err := event.check(); err != nil {
		return 0, fmt.Errorf("emit event: %w", err)
	}
	window := event.DedupWindow
	if window == 0 {
		window = defaultDedupWindow
	}
	var given *int64
	err = db.QueryRow(ctx, pg.Place(callEmit, schema),
		event.Topic, event.payload(), pg.TextOrNull(event.Key), event.headers(), pg.TimeOrNull(event.DeliverAt),
		pg.TextOrNull(event.DedupKey), pg.Interval(window)).Scan(&given)
	if err != nil {
		return 0, fmt.Errorf("emit event: %w", refusal(err))
	}
	if given == nil {
		return 0, nil
	}
	return *given, nil
}

// EmitAll appends many events by one COPY, all or none of them, as part of the transaction that db is. It takes a
// fraction of the time of as many calls of Emit. In turn it accepts no DedupKey and returns no ids. What is wrong with
// one event by itself is refused with its place in the list before the server sees any.
func (p Producer) EmitAll(ctx context.Context, db CopyTarget, events []Event) error {
	schema, err := pg.SchemaOrDefault(p.Schema)
	if err != nil {
		return fmt.Errorf("emit events: %w", err)
	}
	for i, event := range events {
		err := event.check()
		if err == nil && event.DedupKey != "" {
			err = errors.New("a dedup key is for Emit, not for EmitAll")
		}
		if err != nil {
			return fmt.Errorf("emit events: event %d of %d: %w", i+1, len(events), err)
		}
	}
	rows := pgx.CopyFromSlice(len(events), func(i int) ([]any, error) {
		e := events[i]
		payload := e.payload()
		if payload == nil {
			payload = "null" // the column's default is not for a null that is given
		}
		headers := e.headers()
		if headers == nil {
			headers = "{}"
		}
		return []any{e.Topic, pg.TextOrNull(e.Key), payload, headers, pg.TimeOrNull(e.DeliverAt)}, nil
	})
	columns := []string{"topic", "key", "payload", "headers", "deliver_at"}
	if _, err := db.CopyFrom(ctx, pgx.Identifier{schema, "event"}, columns, rows); err != nil {
		return fmt.Errorf("emit events: %w", refusal(err))
	}
	return nil
}

// refusal adds to the server's error what a caller branches on and what only its detail says.
func refusal(err error) error {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.ConstraintName == "event_topic_known" {
		return fmt.Errorf("%w: %w: %s %s", ErrUnknownTopic, err, pgErr.Detail, pgErr.Hint)
	}
	return err
}
