package cursor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgsolo/pgsolo/jobs/internal/logread"
)

// As in every write of progress, the row and the mark that the event is done come together or not at all. Where another
// try has made the row, the event is done.
const insertGone = `with fence as (
		select handler, done from pgsolo.cursor where handler = $1 and term = $2 for update
	), advanced as (
		update pgsolo.cursor c set done = c.done + int8multirange(int8range($3::bigint, $3 + 1))
		from fence f where c.handler = f.handler and not $13::boolean
	), put as (
		insert into pgsolo.delivery
			(handler, event_id, topic, key, payload, headers, created_at, attempt, state, next_at, error, origin)
		select f.handler, $3, $4::text, nullif($5::text, ''), $6::text::jsonb, $7::text::jsonb, $8::timestamptz,
			$9::integer, $10::text, clock_timestamp() + $11::bigint * interval '1 millisecond', $12::text,
			nullif($14::text, '')
		from fence f
		where $13::boolean or not f.done @> $3
		on conflict (handler, event_id) do nothing
	)
	select from fence`

// keepGone gives an event its row that has gone from the log since it was read: deleted by hand, or because its topic
// is kept for less time now. One that failed again gets its row in place of the one that was deleted by hand. What has
// happened to it, and what is to happen, is in memory, and so is the event.
func (c Cursor) keepGone(ctx context.Context, p *Progress, id int64) error {
	r, attempt, retry, state, wait, message := p.ofGone(id)
	bare := *r
	bare.Payload, bare.Headers = nil, nil
	if reason := logread.Refusal(r.Payload, c.Marker); reason != nil { // there is nothing to try again with
		if message == "" {
			message = "the event is not read: " + reason.Error()
		}
		return c.insertGone(ctx, &bare, attempt, retry, "dead", nil, message+"; the payload was not copied")
	}
	err := c.insertGone(ctx, r, attempt, retry, state, wait, message)
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && strings.HasPrefix(refused.Code, "22") {
		// A handler may do with a payload what it likes, and has made this one something else than JSON.
		message = strings.TrimPrefix(message+"; the payload was lost with the row of the log", "; ")
		err = c.insertGone(ctx, &bare, attempt, retry, state, wait, message)
	}
	return err
}

// ofGone says what the row of an event is to be. wait is until its next attempt; nil: it waits for something else.
// retry: it had one before.
func (p *Progress) ofGone(
	id int64,
) (r *logread.Record, attempt int, retry bool, state string, wait *int64, message string) {
	millis := func(d time.Duration) *int64 { ms := d.Milliseconds(); return &ms }
	if i := slices.IndexFunc(p.Failed, func(f Failure) bool { return f.ID == id }); i >= 0 {
		f := p.Failed[i]
		if f.Dead {
			return f.Record, f.Attempt, f.Retry, "dead", nil, f.Message
		}
		return f.Record, f.Attempt, f.Retry, "retry", millis(f.RetryIn), f.Message
	}
	m := p.Moved[slices.IndexFunc(p.Moved, func(m Moved) bool { return m.Record.ID == id })]
	if m.Due.IsZero() {
		return m.Record, 0, false, "waiting", nil, ""
	}
	return m.Record, 0, false, "scheduled", millis(time.Until(m.Due)), ""
}

func (c Cursor) insertGone(
	ctx context.Context, r *logread.Record, attempt int, retry bool, state string, wait *int64, message string,
) error {
	payload, headers := "null", "{}"
	if len(r.Payload) > 0 {
		payload = string(r.Payload)
	}
	if len(r.Headers) > 0 {
		headers = string(r.Headers)
	}
	err := c.DB.QueryRow(ctx, insertGone, c.Handler, c.Term, r.ID, r.Topic, r.Key, payload, headers,
		time.UnixMicro(r.CreatedAt), attempt, state, wait, message, retry, r.Origin).Scan()
	if errors.Is(err, pgx.ErrNoRows) {
		return c.fenced()
	}
	if err != nil {
		return fmt.Errorf("keep event %d of %q, which is gone from the log: %w", r.ID, c.Handler, err)
	}
	return nil
}
