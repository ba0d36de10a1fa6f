package jobs

import "context"

// Action does the work of a handler or a cron job outside this process, as those of the packages exec, webhook and sql
// do. What a handler's function promises of errors and of ctx holds for it too.
type Action func(ctx context.Context, invocation Invocation) error

// Invocation is what an action gets of an event or a tick, in a form that environment variables and HTTP headers can
// both carry.
type Invocation struct {
	Name           string // of the handler or the cron job
	IdempotencyKey string // the same for every attempt; empty for a plain NOTIFY
	Attempt        int    // 1 for the first
	Term           int64  // of the leader

	// Facts are the rest, by lower-case name with underscores: event_id, topic, channel, key, created_at for an event;
	// scheduled_at, catch_up, manual for a tick. A fact that does not apply is absent.
	Facts map[string]string

	Headers map[string]string // the event's own headers
	Body    []byte            // the event's payload; empty for a tick

	// Report takes what the action leaves in the history of a cron job. nil for an event, which has none.
	Report *Report
}
