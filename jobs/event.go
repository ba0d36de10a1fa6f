package jobs

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
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

	// Payload is the jsonb of the row as PostgreSQL prints it, or the bytes of a plain NOTIFY as they were sent. The handler may
	// change it. It lies in one piece of memory with up to 64 kB of others: what is to be kept for long is better copied.
	Payload   []byte
	CreatedAt time.Time // when the producer's transaction began, by the server's clock; for a NOTIFY, when it arrived

	Attempt int   // 1 for the first
	Term    int64 // of the leader that delivers; a resource that remembers the highest term can refuse a stale leader
}

// IdempotencyKey is the same for every attempt at this event by this handler, and differs between handlers. It is empty
// for a plain NOTIFY, which is never attempted twice.
func (e Event) IdempotencyKey() string {
	if e.ID == 0 {
		return ""
	}
	return e.Handler + "/" + strconv.FormatInt(e.ID, 10)
}

// HandleFunc handles one event. A nil error means that the event is done for this handler. Any other error, and a panic,
// is a failed attempt. It must return soon after ctx is done: then its time is up or the leader has to stop.
type HandleFunc func(ctx context.Context, event Event) error

// HandleTxFunc handles one event in the transaction that marks it done, on the handler's own connection: what it writes with tx happens
// exactly once, whatever fails in between. It must not end tx, and sets
// what holds beyond it only with "set local". A failed attempt undoes what it wrote, and nothing else.
type HandleTxFunc func(ctx context.Context, tx pgx.Tx, event Event) error

// RetryAfter makes a handler's error ask for the next attempt after wait, instead of the backoff. The attempt counts.
func RetryAfter(wait time.Duration, err error) error {
	return &retryAfterError{max(0, wait), cmp.Or(err, errAskedAgain)}
}

// Discard makes a handler's error final: the event is a dead letter at once.
func Discard(err error) error { return &discardError{cmp.Or(err, errDiscarded)} }

// For handlers that give no reason.
var (
	errAskedAgain = errors.New("the handler asks for another attempt")
	errDiscarded  = errors.New("the handler discards the event")
)

type retryAfterError struct {
	wait time.Duration
	err  error
}

func (e *retryAfterError) Error() string { return e.err.Error() }
func (e *retryAfterError) Unwrap() error { return e.err }

type discardError struct{ err error }

func (e *discardError) Error() string { return e.err.Error() }
func (e *discardError) Unwrap() error { return e.err }

// JSON makes a HandleFunc of a function that wants its payload decoded. A payload that does not decode is a failed attempt
// and names the handler and the position.
func JSON[T any](handle func(ctx context.Context, event Event, payload T) error) HandleFunc {
	return func(ctx context.Context, event Event) error {
		var payload T
		if err := json.Unmarshal(event.Payload, &payload); err != nil {
			return fmt.Errorf("decode payload of event %d for handler %q: %w", event.ID, event.Handler, withOffset(err))
		}
		return handle(ctx, event, payload)
	}
}

// withOffset adds the byte position that encoding/json keeps out of its message.
func withOffset(err error) error {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("at byte %d: %w", syntax.Offset, err)
	}
	if mismatch, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("at byte %d: %w", mismatch.Offset, err)
	}
	return err
}

// Invocation is what an action outside this process is told of an event or a tick, in a form that environment variables and
// HTTP headers can both carry.
type Invocation struct {
	Name           string // of the handler or the cron job
	IdempotencyKey string
	Attempt        int
	Term           int64

	// Facts are the rest, by lower-case name with underscores: event_id, topic, channel, key, created_at for an event;
	// scheduled_at, catch_up, manual for a tick. A fact that does not apply is absent.
	Facts map[string]string

	Headers map[string]string // the event's own headers
	Body    []byte            // the event's payload; empty for a tick

	// Report takes what the action leaves in the history of a cron job. nil for an event, which has none.
	Report *Report
}

// Action does the work of a handler or a cron job outside this process.
type Action func(ctx context.Context, invocation Invocation) error

// Invocation tells an action of the event.
func (e Event) Invocation() Invocation {
	facts := map[string]string{"created_at": e.CreatedAt.UTC().Format(time.RFC3339Nano)}
	if e.ID != 0 {
		facts["event_id"] = strconv.FormatInt(e.ID, 10)
	}
	for name, value := range map[string]string{"topic": e.Topic, "channel": e.Channel, "key": e.Key} {
		if value != "" {
			facts[name] = value
		}
	}
	return Invocation{
		Name: e.Handler, IdempotencyKey: e.IdempotencyKey(), Attempt: e.Attempt, Term: e.Term,
		Facts: facts, Headers: e.Headers, Body: e.Payload,
	}
}
