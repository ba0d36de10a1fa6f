package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs/internal/pg"
	"github.com/pgsolo/pgsolo/jobs/internal/text"
)

// ErrNoDeadLetter means that the event is no dead letter of the handler: it never was, or has been replayed or
// discarded.
var ErrNoDeadLetter = errors.New("no such dead letter")

// DeadLetters reads and changes the dead letters in one schema. The zero value is ready for use, by any goroutine.
type DeadLetters struct {
	Schema string // default jobs.DefaultSchema
}

// DeadLetter is an event that a handler has given up.
type DeadLetter struct {
	Handler string
	EventID int64
	Topic   string
	Key     string            // empty: none
	Headers map[string]string // nil also where they are too large: from List, more than 64 kB
	Payload []byte            // nil from List, and where it takes more than max_payload of its topic

	CreatedAt time.Time // of the event
	FailedAt  time.Time // of the latest attempt
	Attempts  int
	Error     string // of the latest attempt
}

// DeadLetterPage is one part of a list in the order of handlers and event ids.
type DeadLetterPage struct {
	Limit int // default 100

	// The list begins behind this one: the last of the page before. The zero value begins at the beginning.
	AfterHandler string
	AfterEvent   int64
}

const (
	// The payload is left where it lies, which for a large one is outside the row.
	listDeadLetters = `select handler, event_id, topic, key, pgsolo.printed(headers, 65536, null), null::text,
			created_at, failed_at, attempts, error
		from pgsolo.dead_letter
		where ($1::text is null or handler = $1::text) and ($2::bigint is null or event_id = $2::bigint)
			and ($3::timestamptz is null or failed_at < $3::timestamptz) and ($4::text is null or error like $4::text)
			and (handler, event_id) > ($5::text, $6::bigint)
		order by handler, event_id
		limit $7::bigint`

	getDeadLetter = `select handler, event_id, topic, key, pgsolo.printed(headers, pgsolo.max_payload(topic), null),
			pgsolo.printed(payload, pgsolo.max_payload(topic), null), created_at, failed_at, attempts, error
		from pgsolo.dead_letter
		where handler = $1 and event_id = $2`

	replayDeadLetters = `select pgsolo.replay(of_handler => $1, of_event => $2, failed_before => $3, error_like => $4,
		everything => $5)`
	discardDeadLetters = `select pgsolo.discard(of_handler => $1, of_event => $2, failed_before => $3, error_like => $4,
		everything => $5)`
)

const defaultDeadLetterLimit = 100

// List returns a page of the dead letters that the filter selects, without their payloads. An empty page is beyond the
// end.
func (d DeadLetters) List(
	ctx context.Context, db Querier, filter DeadLetterFilter, page DeadLetterPage,
) ([]DeadLetter, error) {
	letters, err := d.list(ctx, db, filter, page)
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	return letters, nil
}

func (d DeadLetters) list(
	ctx context.Context, db Querier, filter DeadLetterFilter, page DeadLetterPage,
) ([]DeadLetter, error) {
	schema, err := pg.SchemaOrDefault(d.Schema)
	if err != nil {
		return nil, err
	}
	if err := filter.check(); err != nil {
		return nil, err
	}
	if page.Limit < 0 {
		return nil, fmt.Errorf("limit %d is negative", page.Limit)
	}
	if page.Limit == 0 {
		page.Limit = defaultDeadLetterLimit
	}
	args := append(filter.conditions(), page.AfterHandler, page.AfterEvent, page.Limit)
	rows, err := db.Query(ctx, pg.Place(listDeadLetters, schema), args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanDeadLetter)
}

// Get returns one dead letter with its payload, or ErrNoDeadLetter.
func (d DeadLetters) Get(ctx context.Context, db Querier, handler string, eventID int64) (DeadLetter, error) {
	letter, err := d.get(ctx, db, handler, eventID)
	if err != nil {
		return DeadLetter{}, fmt.Errorf("get dead letter %d of handler %q: %w", eventID, handler, err)
	}
	return letter, nil
}

func (d DeadLetters) get(ctx context.Context, db Querier, handler string, eventID int64) (DeadLetter, error) {
	schema, err := pg.SchemaOrDefault(d.Schema)
	if err != nil {
		return DeadLetter{}, err
	}
	rows, err := db.Query(ctx, pg.Place(getDeadLetter, schema), handler, eventID)
	if err != nil {
		return DeadLetter{}, err
	}
	letter, err := pgx.CollectExactlyOneRow(rows, scanDeadLetter)
	if errors.Is(err, pgx.ErrNoRows) {
		return DeadLetter{}, ErrNoDeadLetter
	}
	return letter, err
}

// Replay gives the dead letters that the filter selects all their attempts again, and returns how many they are. They
// are due as soon as the transaction has been committed. A handler gets them after events that it has handled since.
func (d DeadLetters) Replay(ctx context.Context, db Querier, filter DeadLetterFilter) (int64, error) {
	n, err := d.change(ctx, db, replayDeadLetters, filter)
	if err != nil {
		return 0, fmt.Errorf("replay dead letters: %w", err)
	}
	return n, nil
}

// Discard deletes the dead letters that the filter selects for good, and returns how many they were.
func (d DeadLetters) Discard(ctx context.Context, db Querier, filter DeadLetterFilter) (int64, error) {
	n, err := d.change(ctx, db, discardDeadLetters, filter)
	if err != nil {
		return 0, fmt.Errorf("discard dead letters: %w", err)
	}
	return n, nil
}

func (d DeadLetters) change(
	ctx context.Context, db Querier, sql string, filter DeadLetterFilter,
) (n int64, err error) {
	schema, err := pg.SchemaOrDefault(d.Schema)
	if err != nil {
		return 0, err
	}
	if err := filter.check(); err != nil {
		return 0, err
	}
	switch {
	case filter.empty() && !filter.All:
		return 0, errors.New("the filter has no condition: set All if every dead letter is meant")
	case !filter.empty() && filter.All:
		return 0, errors.New("the filter has All and conditions: leave out one of them")
	}
	err = db.QueryRow(ctx, pg.Place(sql, schema), append(filter.conditions(), filter.All)...).Scan(&n)
	return n, err
}

func scanDeadLetter(row pgx.CollectableRow) (letter DeadLetter, err error) {
	var (
		key     *string
		headers []byte
	)
	err = row.Scan(&letter.Handler, &letter.EventID, &letter.Topic, &key, &headers, &letter.Payload, &letter.CreatedAt,
		&letter.FailedAt, &letter.Attempts, &letter.Error)
	if err != nil {
		return DeadLetter{}, err
	}
	if key != nil {
		letter.Key = *key
	}
	letter.Headers, err = text.Headers(headers)
	return letter, err
}
