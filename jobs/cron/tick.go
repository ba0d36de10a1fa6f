package cron

import (
	"context"
	"strconv"
	"time"

	"github.com/pgsolo/pgsolo/jobs"
)

// Tick is one attempt at one start of a cron job.
type Tick struct {
	Job string

	// ScheduledAt is the instant that the schedule names, or at which a manual run was asked for. The start itself may
	// be later.
	ScheduledAt time.Time

	CatchUp bool  // the tick was missed, and is made up for
	Manual  bool  // it is no tick of the schedule, but was triggered
	Attempt int   // 1 for the first
	Term    int64 // of the leader that starts it

	// Report takes what the run leaves in its row of the history. Never nil; not to be used after the function has
	// returned.
	Report *jobs.Report
}

// IdempotencyKey is the same for every attempt at this tick, and differs between ticks.
func (t Tick) IdempotencyKey() string {
	return t.Job + "/" + t.ScheduledAt.UTC().Format(time.RFC3339Nano) // ticks of a schedule have no fraction
}

// TickFunc runs one tick of a cron job. A nil error means that it has succeeded. Any other error, and a panic, is a
// failed attempt. It must return soon after ctx is done: then its time is up, the run is replaced by a later one, or
// the leader has to stop.
type TickFunc func(ctx context.Context, tick Tick) error

// Invocation is the tick in the form that an action takes.
func (t Tick) Invocation() jobs.Invocation {
	return jobs.Invocation{
		Name: t.Job, IdempotencyKey: t.IdempotencyKey(), Attempt: t.Attempt, Term: t.Term,
		Facts: map[string]string{
			"scheduled_at": t.ScheduledAt.Format(time.RFC3339Nano),
			"catch_up":     strconv.FormatBool(t.CatchUp),
			"manual":       strconv.FormatBool(t.Manual),
		},
		Report: t.Report,
	}
}
