package jobs

import (
	"context"
)

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
