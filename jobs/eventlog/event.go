package eventlog

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/text"
)

// Event is one delivery of a row of the event log, or of a plain NOTIFY, to one handler.
type Event struct {
	Handler string // the handler that this delivery is for

	// ID is the row's id in the event log, and 0 for a plain NOTIFY, which has no row.
	ID      int64
	Topic   string            // empty for a plain NOTIFY
	Channel string            // empty for a row of the log
	Key     string            // the producer's key; empty where it gave none
	Headers map[string]string // nil where the producer gave none

	// Payload is the jsonb of the row as PostgreSQL prints it, or the bytes of a plain NOTIFY as they were sent. The
	// handler may change it. It lies in one piece of memory with up to 64 kB of others: what is to be kept for long is
	// better copied.
	Payload   []byte
	CreatedAt time.Time // when the producer's transaction began, by the server's clock; for a NOTIFY, when it arrived

	Log    string // identity of the log that it was emitted to, by which equal ids differ; empty for an older log's
	Origin string // Log and the ID that it had there, where the log has begun again since; mostly empty

	Attempt int   // 1 for the first
	Term    int64 // of the leader that delivers; a resource that remembers the highest term can refuse a stale leader
}

// IdempotencyKey is the same for every attempt at this event by this handler, and differs between handlers. It is empty
// for a plain NOTIFY, which is never attempted twice.
func (e Event) IdempotencyKey() string {
	if e.ID == 0 {
		return ""
	}
	switch {
	case e.Origin != "":
		return e.Handler + "/" + e.Origin
	case e.Log != "":
		return e.Handler + "/" + e.Log + "/" + strconv.FormatInt(e.ID, 10)
	}
	return e.Handler + "/" + strconv.FormatInt(e.ID, 10)
}

// HandleFunc handles one event. A nil error means that the event is done for this handler. Any other error, and a
// panic, is a failed attempt. It must return soon after ctx is done: then its time is up or the leader has to stop.
type HandleFunc func(ctx context.Context, event Event) error

// HandleTxFunc handles one event in the transaction that marks it done, on the handler's own connection: what it writes
// with tx happens exactly once, whatever fails in between. It must not end tx, and sets what holds beyond it only with
// "set local". A failed attempt undoes what it wrote, and nothing else.
type HandleTxFunc func(ctx context.Context, tx pgx.Tx, event Event) error

// JSON makes a HandleFunc of a function that wants its payload decoded. A payload that does not decode is a failed
// attempt and names the handler and the position.
func JSON[T any](handle func(ctx context.Context, event Event, payload T) error) HandleFunc {
	return func(ctx context.Context, event Event) error {
		var payload T
		if err := json.Unmarshal(event.Payload, &payload); err != nil {
			return fmt.Errorf("decode payload of event %d for handler %q: %w",
				event.ID, event.Handler, text.WithOffset(err))
		}
		return handle(ctx, event, payload)
	}
}

// Invocation is the event as an action gets it.
func (e Event) Invocation() jobs.Invocation {
	facts := map[string]string{"created_at": e.CreatedAt.UTC().Format(time.RFC3339Nano)}
	if e.ID != 0 {
		facts["event_id"] = strconv.FormatInt(e.ID, 10)
	}
	for name, value := range map[string]string{"topic": e.Topic, "channel": e.Channel, "key": e.Key} {
		if value != "" {
			facts[name] = value
		}
	}
	return jobs.Invocation{
		Name: e.Handler, IdempotencyKey: e.IdempotencyKey(), Attempt: e.Attempt, Term: e.Term,
		Facts: facts, Headers: e.Headers, Body: e.Payload,
	}
}
