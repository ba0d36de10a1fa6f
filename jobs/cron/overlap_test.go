package cron

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
)

func TestQueueKeepsTheOrder(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run).seen()
	c.cron.Overlap = OverlapQueue
	c.lead(1).at(1 * minute)
	first := c.next(started, 1*minute, 1)
	c.at(2 * minute)
	c.at(3 * minute)
	c.trigger(false)
	c.none(started)
	c.finish(first, nil)
	second := c.next(started, 2*minute, 1)
	c.none(started)
	c.finish(second, errors.New("no disk")) // the queue goes on
	third := c.next(started, 3*minute, 1)
	if stats := c.job.stats(); stats.Running != 1 || stats.Waiting != 1 {
		t.Errorf("stats: %+v, want 1 running, 1 waiting", stats)
	}
	c.finish(third, nil)
	manual := pgtest.Within(t, "the manual run", started)
	if !manual.Manual {
		t.Errorf("got %+v, want the manual run", manual.Tick)
	}
	c.finish(manual, nil)
	c.quit()
	c.wantAttempts(
		attemptRow{1 * minute, "schedule", "ok", 1, ""}, attemptRow{2 * minute, "schedule", "failed", 1, "no disk"},
		attemptRow{3 * minute, "schedule", "ok", 1, ""}, attemptRow{0, "manual", "ok", 1, ""},
	)
}

func TestQueueWaitsNoLongerThanTheDeadline(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run).seen()
	c.cron.Overlap, c.cron.StartingDeadline = OverlapQueue, 90*time.Second
	c.lead(1).at(1 * minute)
	first := c.next(started, 1*minute, 1)
	c.trigger(false) // which has none
	for m := range 3 {
		c.at(time.Duration(m+2) * minute)
	}
	c.finish(first, nil)
	manual := pgtest.Within(t, "the manual run", started)
	c.finish(manual, nil)
	last := c.next(started, 3*minute, 1)
	c.finish(last, nil)
	c.finish(c.next(started, 4*minute, 1), nil)
	c.quit()
	c.wantAttempts(
		attemptRow{1 * minute, "schedule", "ok", 1, ""},
		attemptRow{2 * minute, "schedule", "skipped", 0, "waited for its turn beyond its starting deadline of 1m30s"},
		attemptRow{3 * minute, "schedule", "ok", 1, ""}, attemptRow{4 * minute, "schedule", "ok", 1, ""},
		attemptRow{0, "manual", "ok", 1, ""},
	)
}

func TestQueueIsBounded(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run).seen()
	c.cron.Overlap = OverlapQueue
	c.exec(`insert into pgsolo.cron_run (job, scheduled_at, term, attempt, outcome)
		select 'job', $1::timestamptz - n * interval '1 second', 1, 0, 'queued'
			from generate_series(1, 1000) n`, c.epoch)
	c.lead(2)
	_ = pgtest.Within(t, "the first of the queue", started)
	c.at(1 * minute) // in its place
	c.at(2 * minute)
	c.die()
	rows := c.runs()
	if got := rows[len(rows)-1]; got != (runRow{2 * minute, "skipped", "1000 runs were waiting already"}) {
		t.Errorf("got %+v", got)
	}
	if got := rows[len(rows)-2]; got != (runRow{1 * minute, "queued", ""}) {
		t.Errorf("got %+v", got)
	}
}

// A leader goes on with what an earlier one has queued, however that has ended.
func TestQueueSurvivesAFailover(t *testing.T) {
	for name, test := range map[string]struct {
		end   func(*cronTest)
		first attemptRow
	}{
		"crash": {(*cronTest).crash, attemptRow{
			1 * minute, "schedule", "interrupted", 1, "the leader of term 1 was gone",
		}},
		"cancel": {(*cronTest).die, attemptRow{1 * minute, "schedule", "interrupted", 1, "context canceled"}},
	} {
		t.Run(name, func(t *testing.T) {
			run, started := calls(t)
			c := setupCron(t, run).seen()
			c.cron.Overlap = OverlapQueue
			c.lead(1).at(1 * minute)
			c.next(started, 1*minute, 1)
			c.at(2 * minute)
			c.trigger(false)
			c.at(3 * minute)
			test.end(c)
			c.leadNext()
			second := c.next(started, 2*minute, 1)
			if second.Term != c.term {
				t.Errorf("term %d, want %d", second.Term, c.term)
			}
			c.at(4 * minute)
			c.finish(second, nil)
			c.finish(c.next(started, 3*minute, 1), nil)
			for range 2 { // the order of the manual run and the tick after the failover is not said
				c.finish(pgtest.Within(t, "the rest", started), nil)
			}
			c.quit()
			c.wantAttempts(test.first,
				attemptRow{2 * minute, "schedule", "ok", 1, ""}, attemptRow{3 * minute, "schedule", "ok", 1, ""},
				attemptRow{4 * minute, "schedule", "ok", 1, ""}, attemptRow{0, "manual", "ok", 1, ""},
			)
		})
	}
}

func TestReplace(t *testing.T) {
	started := make(chan *call, 10)
	c := setupCron(t, func(ctx context.Context, tick Tick) error { // ignores that it is cancelled
		call := &call{tick, ctx, make(chan error)}
		started <- call
		return <-call.end
	}).seen()
	c.cron.Overlap = OverlapReplace
	c.lead(1).at(1 * minute)
	first := c.next(started, 1*minute, 1)
	c.at(2 * minute)
	pgtest.Within(t, "the first run to be cancelled", first.ctx.Done())
	if cause := context.Cause(first.ctx).Error(); !strings.Contains(cause, "2026-03-01T12:02:00Z") {
		t.Errorf("cancelled because of %q, want it to name the later tick", cause)
	}
	c.none(started)
	c.at(3 * minute) // takes the place of the one that waits
	c.none(started)
	c.finish(first, errors.New("cut off"))
	third := c.next(started, 3*minute, 1)
	if third.ctx.Err() != nil {
		t.Error("the later run is cancelled")
	}
	c.trigger(false)
	pgtest.Within(t, "the run to be cancelled", third.ctx.Done())
	c.finish(third, nil) // it was done
	manual := pgtest.Within(t, "the manual run", started)
	c.at(4 * minute)
	pgtest.Within(t, "the manual run to be cancelled", manual.ctx.Done())
	c.finish(manual, context.Canceled)
	c.finish(c.next(started, 4*minute, 1), nil)
	if stats := c.job.stats(); stats.Replaced != 2 || stats.Skipped != 1 || stats.Succeeded != 2 || stats.Started != 4 {
		t.Errorf("stats: %+v", stats)
	}
	c.quit()
	c.wantAttempts(
		attemptRow{1 * minute, "schedule", "replaced", 1, "cut off; replaced by the run of 2026-03-01T12:02:00Z"},
		attemptRow{2 * minute, "schedule", "skipped", 0, "replaced by the run of 2026-03-01T12:03:00Z"},
		attemptRow{3 * minute, "schedule", "ok", 1, ""}, attemptRow{4 * minute, "schedule", "ok", 1, ""},
		attemptRow{0, "manual", "replaced", 1, "context canceled; replaced by the run of 2026-03-01T12:04:00Z"},
	)
}

func TestReplacesARunThatWaitsForARetry(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run).seen()
	c.cron.Overlap, c.cron.Retry = OverlapReplace, jobs.Retry{Attempts: 3, Backoff: 5 * minute, MaxBackoff: 5 * minute}
	c.lead(1).at(1 * minute)
	c.finish(c.next(started, 1*minute, 1), errors.New("no disk"))
	c.at(2 * minute)
	second := c.next(started, 2*minute, 1)
	c.finish(second, nil)
	c.quit()
	c.wantAttempts(
		attemptRow{1 * minute, "schedule", "replaced", 1, "replaced by the run of 2026-03-01T12:02:00Z"},
		attemptRow{2 * minute, "schedule", "ok", 1, ""},
	)
}

// The tick comes due when the failure is known and not written yet.
func TestReplacesARunThatIsAboutToWaitForARetry(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run).seen()
	c.cron.Overlap = OverlapReplace
	c.cron.Retry = jobs.Retry{Attempts: 3, Backoff: 30 * minute, MaxBackoff: 30 * minute}
	c.lead(1).at(1 * minute)
	first := c.next(started, 1*minute, 1)
	c.clock.move(c.epoch.Add(2 * minute)) // which is seen when the run has ended
	first.end <- errors.New("no disk")
	c.finish(c.next(started, 2*minute, 1), nil)
	c.quit()
	c.wantAttempts(
		attemptRow{1 * minute, "schedule", "replaced", 1, "no disk; replaced by the run of 2026-03-01T12:02:00Z"},
		attemptRow{2 * minute, "schedule", "ok", 1, ""},
	)
}

// A run that was being replaced when its leader died is not started again in front of the one that was to replace it.
func TestReplaceOverAFailover(t *testing.T) {
	started := make(chan *call, 10)
	over := make(chan struct{})
	c := setupCron(t, func(ctx context.Context, tick Tick) error {
		call := &call{tick, ctx, make(chan error)}
		started <- call
		select {
		case err := <-call.end:
			return err
		case <-over:
			if tick.Term == 1 {
				return errors.New("cut off")
			}
			return <-call.end
		}
	}).seen()
	c.cron.Overlap, c.cron.OnInterrupt = OverlapReplace, InterruptRetry
	c.lead(1).at(1 * minute)
	c.next(started, 1*minute, 1)
	c.at(2 * minute)
	c.exec(`update pgsolo.cron_leader set term = 2`)
	c.cancel()
	close(over)
	pgtest.Within(t, "the first leader to end", c.ended)
	c.lead(3)
	c.finish(c.next(started, 2*minute, 1), nil)
	c.none(started)
	c.quit()
}

func TestAllowsOverlaps(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run).seen()
	c.cron.Overlap = OverlapAllow
	c.lead(1).at(1 * minute)
	first := c.next(started, 1*minute, 1)
	c.at(2 * minute)
	second := c.next(started, 2*minute, 1)
	c.trigger(false)
	manual := pgtest.Within(t, "the manual run", started)
	if stats := c.job.stats(); stats.Running != 3 {
		t.Errorf("stats: %+v, want 3 running", stats)
	}
	for _, call := range []*call{first, second, manual} {
		if call.ctx.Err() != nil {
			t.Errorf("%+v is cancelled", call.Tick)
		}
		c.finish(call, nil)
	}
	c.quit()
	c.wantAttempts(attemptRow{1 * minute, "schedule", "ok", 1, ""}, attemptRow{2 * minute, "schedule", "ok", 1, ""},
		attemptRow{0, "manual", "ok", 1, ""})
}

// What is made up for comes one after the other even so, with its retries.
func TestAllowsNoOverlapOfWhatIsMadeUpFor(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run).seen()
	c.cron.Overlap, c.cron.Missed = OverlapAllow, MissedAll
	c.cron.Retry = jobs.Retry{Attempts: 2, Backoff: minute, MaxBackoff: minute, Jitter: -1}
	c.clock.now = c.epoch.Add(2*minute + 30*time.Second)
	c.lead(1)
	first := c.next(started, 1*minute, 1)
	c.none(started)
	c.finish(first, errors.New("no disk"))
	c.none(started)
	c.at(3*minute + 30*time.Second)
	again := c.next(started, 1*minute, 2)
	c.none(started)
	c.finish(again, nil)
	c.finish(c.next(started, 2*minute, 1), nil)
	c.finish(c.next(started, 3*minute, 1), nil)
	c.quit()
}

// Once all is made up for, the overlap policy holds again, also for a job whose runs take longer than its period.
func TestOverlapHoldsAfterWhatIsMadeUpFor(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run).seen()
	c.cron.Missed = MissedAll
	c.clock.now = c.epoch.Add(1*minute + 30*time.Second)
	c.lead(1)
	missed := c.next(started, 1*minute, 1)
	c.at(2 * minute)
	c.at(3 * minute)
	c.finish(missed, nil)
	second := c.next(started, 2*minute, 1)
	c.at(4 * minute) // during an ordinary run, while another one waits
	c.finish(second, nil)
	c.finish(c.next(started, 3*minute, 1), nil)
	c.none(started)
	c.quit()
	c.wantAttempts(
		attemptRow{1 * minute, "catch_up", "ok", 1, ""}, attemptRow{2 * minute, "schedule", "ok", 1, ""},
		attemptRow{3 * minute, "schedule", "ok", 1, ""}, attemptRow{4 * minute, "schedule", "skipped", 0, overlapError},
	)
}
