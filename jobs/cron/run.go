package cron

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/cron/internal/rows"
	"github.com/pgsolo/pgsolo/jobs/internal/attempt"
	"github.com/pgsolo/pgsolo/jobs/internal/measure"
	"github.com/pgsolo/pgsolo/jobs/internal/text"
)

// run is a tick or a manual run that is open, or about to be. It belongs to the goroutine of the term, except that its
// attempt writes failure and report, which that goroutine reads after the attempt has ended.
type run struct {
	job     *jobTerm
	row     rows.Run // as it is to be written. NextAt is set, too, while the run waits for its row, which is locked
	forced  bool
	resumed bool // an earlier leader's, which is started again

	began    time.Time // the attempt
	ended    time.Time // likewise; by the clock of schedules
	overdue  bool      // it was reported for not ending
	cancel   context.CancelCauseFunc
	replaced *replacedError // it was cancelled for a later tick
	report   *jobs.Report
	failure  error
}

// newRun is a run before its first attempt.
func newRun(j *jobTerm, at time.Time, cause string) *run {
	return &run{job: j, row: rows.Run{Job: j.Name, At: at, Cause: cause}}
}

func (r *run) key() rows.Key { return r.row.Key() }

func (r *run) catchUp() bool { return r.row.Cause == rows.CatchUp }

// replacedError is why a run was cut off by a later one.
type replacedError struct{ by time.Time }

func (e *replacedError) Error() string { return "replaced by the run of " + e.by.Format(time.RFC3339) }

// after adds to a failure what it does not say by itself.
func (e *replacedError) after(failure string) string {
	if strings.Contains(failure, e.Error()) {
		return failure
	}
	return failure + "; " + e.Error()
}

// call calls the function, whose row says by now that it runs.
func (t *term) call(ctx context.Context, r *run) {
	j := r.job
	j.logger.Debug("run starts", "scheduled_at", r.row.At, "cause", r.row.Cause, "attempt", r.row.Attempt)
	now := t.clock.Now()
	if r.row.Cause == rows.Schedule && r.row.Attempt == 1 {
		j.lateness.Add(int64(max(0, now.Sub(r.row.At.Add(j.delay)))), &measure.DurationBounds)
	}
	j.count(func(s *Stats) {
		s.Started++
		if r.row.Attempt > 1 {
			s.Retried++
		}
	})
	tick := Tick{
		Job: j.Name, ScheduledAt: r.row.At.In(j.Location), CatchUp: r.catchUp(), Manual: r.row.Cause == rows.Manual,
		Attempt: r.row.Attempt, Term: t.leadership.Term, Report: &jobs.Report{},
	}
	r.report, r.failure = tick.Report, attempt.ErrExited // which remains if Run calls runtime.Goexit
	ctx, r.cancel = context.WithCancelCause(ctx)
	if r.replaced != nil { // while its row was made
		r.cancel(r.replaced)
	}
	r.began = time.Now()
	t.running++
	go func() {
		defer func() { t.ended <- r }()
		r.failure = attempt.Do(ctx, j.Timeout, j.logger, func(ctx context.Context) error { return j.Run(ctx, tick) })
	}()
}

// conclude decides what the end of an attempt means, and has it written.
func (t *term) conclude(ctx context.Context, r *run) {
	j := r.job
	t.running--
	r.ended = t.clock.Now()
	r.cancel(nil)
	r.cancel, r.overdue = nil, false
	remove(&j.active, r)
	result := rows.Result{Outcome: rows.OK}
	result.Output, result.ExitCode, result.HTTPStatus = r.report.End()
	if r.failure != nil {
		result.Failure = text.Error(r.failure)
		var wait time.Duration
		result.Outcome, wait = r.afterFailure(ctx)
		if result.Outcome == rows.Replaced {
			result.Failure = r.replaced.after(result.Failure)
		}
		r.row.NextAt = r.ended.Add(wait)
	}
	j.log(r, result)
	r.report, r.failure = nil, nil
	t.outbox.record(r, result)
	if len(j.queue)+len(j.retrying) > 0 {
		t.heap.wakeSoon(j)
	}
}

// afterFailure says what follows a failed attempt.
func (r *run) afterFailure(ctx context.Context) (outcome string, wait time.Duration) {
	switch {
	case r.replaced != nil:
		return rows.Replaced, 0
	case isHeld(r.job): // it was cancelled, or the next attempt is another group's to make
		return rows.Interrupted, 0
	case ctx.Err() != nil && r.job.retriesInterrupted(r.row.Attempt):
		return rows.Retrying, 0
	case ctx.Err() != nil:
		return rows.Interrupted, 0
	}
	if wait, dead := r.job.Retry.Next(r.row.Attempt, r.failure); !dead {
		return rows.Retrying, wait
	}
	return rows.Failed, 0
}

// log writes a line when a run has failed for good or was cut off, in a row of those close to one another the first,
// when the job succeeds again, and every panic's stack.
func (j *jobTerm) log(r *run, result rows.Result) {
	defer func() { _ = recover() }() // of what the function's error does when it is unwrapped
	if panicked, ok := errors.AsType[*attempt.PanicError](r.failure); ok {
		j.logger.Error("cron job panicked", "scheduled_at", r.row.At, "panic", panicked.Value, "stack",
			string(panicked.Stack))
	}
	switch {
	case result.Outcome == rows.Failed, result.Outcome == rows.Interrupted:
		j.failing = true
		j.failures.Log(j.logger, hclog.Warn, "cron job "+result.Outcome,
			"scheduled_at", r.row.At, "attempt", r.row.Attempt, "error", result.Failure)
	case result.Outcome == rows.OK && j.failing:
		j.failing = false
		j.logger.Info("cron job succeeds again", "scheduled_at", r.row.At)
	default:
		j.logger.Debug("run ended",
			"scheduled_at", r.row.At, "attempt", r.row.Attempt, "outcome", result.Outcome, "error", result.Failure)
	}
}

// A run that goes on for this long after its timeout is reported.
const overdueAfter = 10 * time.Second

// reportOverdue logs runs that go on although their time is up: nothing but the end of the process ends them.
func (t *term) reportOverdue() {
	if time.Since(t.overdueChecked) < overdueAfter {
		return
	}
	t.overdueChecked = time.Now()
	for _, j := range t.jobs {
		j.reportOverdue()
	}
}

func (j *jobTerm) reportOverdue() {
	for _, r := range j.active {
		if r.cancel == nil || r.overdue {
			continue
		}
		if running := time.Since(r.began); running > j.Timeout+overdueAfter {
			r.overdue = true
			j.logger.Warn("a run goes on although its time is up", "scheduled_at", r.row.At, "for",
				running.Round(time.Second))
		}
	}
}
