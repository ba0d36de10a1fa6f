package cron

import (
	"errors"
	"fmt"
	"math"

	"github.com/pgsolo/pgsolo/jobs/cron/internal/rows"
)

// How many ticks of a job wait for their turn at most, and MaxCatchUp more where MissedAll makes up for ticks. What
// comes due then is skipped.
const maxQueued = 1000

var errOverlap = errors.New("the previous run was still going")

// due takes in a tick that has come due: it is started, or what the overlap policy says.
func (j *jobTerm) due(tick dueTick) {
	if j.cameBefore(tick.at) {
		j.logger.Debug("tick came due before the clock was set back", "scheduled_at", tick.at)
		return
	}
	limit, beside := maxQueued, j.newcomer()
	if j.Missed == MissedAll && (tick.catchUp || j.catchesUp()) {
		limit, beside.serial = maxQueued+j.MaxCatchUp, true
	}
	switch j.Overlap.decide(beside) {
	case starts:
		j.insert(tick, rows.Running, "")
	case replaces:
		j.replaceAll(tick.at)
		j.enqueue(tick, limit)
	case waits:
		j.enqueue(tick, limit)
	case skips:
		j.insert(tick, rows.Skipped, errOverlap.Error())
	}
}

// enqueue has a tick wait for its turn, in its row too, unless as many as the limit do so already.
func (j *jobTerm) enqueue(tick dueTick, limit int) {
	if len(j.queue) >= limit {
		j.insert(tick, rows.Skipped, fmt.Sprintf("%d runs were waiting already", len(j.queue)))
		return
	}
	j.insert(tick, rows.Queued, "")
}

// insert has the row of a tick made, with this outcome.
func (j *jobTerm) insert(tick dueTick, outcome, reason string) {
	cause := rows.Schedule
	if tick.catchUp {
		cause = rows.CatchUp
	}
	r := newRun(j, tick.at, cause)
	r.row.Outcome, r.row.Failure = outcome, reason
	switch outcome {
	case rows.Running:
		r.row.Attempt = 1
		j.active = append(j.active, r)
	case rows.Queued:
		j.queue = append(j.queue, r)
	}
	j.outbox.insert(r)
}

// start has the next attempt of a run started that has a row.
func (j *jobTerm) start(r *run) {
	r.row.Attempt = min(r.row.Attempt, math.MaxInt32-1) + 1 // an operator may have written it
	r.row.Result = rows.Result{Outcome: rows.Running}
	j.active = append(j.active, r)
	j.outbox.start(r)
}

// requeue puts a run back that was to be started, and whose row is locked.
func (j *jobTerm) requeue(r *run) {
	j.outbox.logLocked(r)
	remove(&j.active, r)
	r.row.Attempt--
	r.row.Result = rows.Result{}
	r.row.NextAt = j.clock.Now().Add(deferFor)
	switch {
	case r.replaced != nil && r.row.Attempt > 0: // in the same scan
		j.outbox.close(r, rows.Replaced, r.replaced.Error())
	case r.replaced != nil:
		j.outbox.close(r, rows.Skipped, r.replaced.Error())
	case r.row.Attempt > 0 || r.forced: // a forced one waits for no turn
		j.retrying = append(j.retrying, r)
	default:
		j.queue = append([]*run{r}, j.queue...)
	}
}
