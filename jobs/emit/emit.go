package emit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// ErrUnknownTopic means that the event log takes no events of that topic: no group's configuration names it. The error that
// wraps it lists those that are known.
var ErrUnknownTopic = errors.New("unknown topic")

// defaultDedupWindow is also that of pgsolo.emit.
const defaultDedupWindow = 24 * time.Hour

// Event is what a producer appends to the event log. Only Topic is required.
type Event struct {
	Topic   string
	Key     string            // what the event is about, for handlers that keep the order of each key; empty: none
	Payload []byte            // JSON; nil: null
	Headers map[string]string // nil: none

	DeliverAt time.Time // no handler gets it before, by the server's clock; zero: at once

	// DedupKey drops the event where one of the same topic and DedupKey was emitted before, and the DedupWindow given then has
	// not passed. At most 1000 bytes; empty: never dropped.
	DedupKey    string
	DedupWindow time.Duration // default 24 h; only with a DedupKey
}

// Querier is what Emit needs of a pgx.Tx, a *pgx.Conn or a *pgxpool.Pool.
type Querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// CopyTarget is what EmitAll needs of a pgx.Tx, a *pgx.Conn or a *pgxpool.Pool.
type CopyTarget interface {
	CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error)
}

// Producer appends events to the log. The zero value does so in DefaultSchema.
type Producer struct {
	Schema string // default "pgsolo"
}

const callEmit = `select pgsolo.emit(topic => $1, payload => $2, key => $3, headers => $4, deliver_at => $5, dedup_key => $6,
	dedup_window => $7)`

// Emit appends one event, as part of the transaction that db is, and returns its id; 0 means that it was dropped because of its
// DedupKey. Without a transaction the event is committed when Emit returns. The role needs to execute pgsolo.emit and nothing
// else.
//
// What is wrong with an event by itself is refused before the server sees it, so that the transaction can go on. What only the
// server can tell aborts it: an unknown topic (ErrUnknownTopic), and a number in the payload that is beyond numeric.
//
// Two transactions that emit one DedupKey at a time wait for each other, and may deadlock where each emits several in another
// order. In REPEATABLE READ and SERIALIZABLE the second one may fail with SQLSTATE 40001, and is to be tried again.
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
	err = db.QueryRow(ctx, pg.Place(callEmit, schema), event.Topic, event.payload(), pg.TextOrNull(event.Key), event.headers(),
		pg.TimeOrNull(event.DeliverAt), pg.TextOrNull(event.DedupKey), fmt.Sprintf("%d microseconds", window.Microseconds())).Scan(&given)
	if err != nil {
		return 0, fmt.Errorf("emit event: %w", refusal(err))
	}
	if given == nil {
		return 0, nil
	}
	return *given, nil
}

// EmitAll appends many events by one COPY, all or none of them, which takes a fraction of the time. In turn it knows no DedupKey,
// returns no ids, and the role needs to insert into pgsolo.event and to use the sequence pgsolo.event_id_seq.
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

// payload is a string and not bytes, which pgx sends as bytea in the modes that ask no server for types. So are the headers.
func (e Event) payload() any {
	if e.Payload == nil {
		return nil
	}
	return string(e.Payload)
}

func (e Event) headers() any {
	if len(e.Headers) == 0 {
		return nil
	}
	text, err := json.Marshal(e.Headers)
	if err != nil {
		panic(err) // cannot be: strings alone
	}
	return string(text)
}
