package cron

import (
	"errors"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs/admin"
)

func TestManualRunAndASkippedTick(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run).seen().lead(1)
	at := c.trigger(false)
	manual := pgtest.Within(t, "the manual run", started)
	if !manual.Manual || manual.CatchUp || !manual.ScheduledAt.Equal(at) {
		t.Errorf("got %+v, want the manual run of %s", manual.Tick, at)
	}
	c.at(1 * minute)
	c.trigger(false)
	c.finish(manual, nil)
	c.none(started)
	c.at(2 * minute)
	c.finish(c.next(started, 2*minute, 1), nil)
	c.quit()
	c.wantAttempts(
		attemptRow{1 * minute, "schedule", "skipped", 0, overlapError}, attemptRow{2 * minute, "schedule", "ok", 1, ""},
		attemptRow{0, "manual", "ok", 1, ""}, attemptRow{0, "manual", "skipped", 0, overlapError},
	)
	if lateness := c.job.stats().Lateness.Count; lateness != 1 {
		t.Errorf("lateness of %d starts, want that of the one tick", lateness)
	}
}

// A forced run starts beside another one, whatever the policy says, and cancels nothing.
func TestForcedRun(t *testing.T) {
	for _, overlap := range []Overlap{OverlapSkip, OverlapQueue, OverlapReplace, OverlapAllow} {
		t.Run(string(overlap), func(t *testing.T) {
			run, started := calls(t)
			c := setupCron(t, run).seen()
			c.cron.Overlap = overlap
			c.lead(1).at(1 * minute)
			tick := c.next(started, 1*minute, 1)
			c.trigger(true)
			manual := pgtest.Within(t, "the forced run", started)
			if tick.ctx.Err() != nil {
				t.Error("the run of the tick is cancelled")
			}
			c.finish(manual, nil)
			c.finish(tick, nil)
			c.quit()
			c.wantAttempts(attemptRow{1 * minute, "schedule", "ok", 1, ""}, attemptRow{0, "manual", "ok", 1, ""})
		})
	}
}

// There is no leader when it is triggered.
func TestManualRunWaitsForALeader(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run).seen()
	if _, err := (admin.CronJobs{}).Trigger(t.Context(), c.pool, "job", false); err != nil {
		t.Fatal(err)
	}
	c.lead(1)
	c.finish(pgtest.Within(t, "the manual run", started), errors.New("no disk"))
	c.quit()
	c.wantAttempts(attemptRow{0, "manual", "failed", 1, "no disk"})
}

func TestManualRunOverAFailover(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run).seen()
	c.cron.OnInterrupt = InterruptRetry
	c.lead(1)
	at := c.trigger(false)
	pgtest.Within(t, "the manual run", started)
	c.crash()
	c.leadNext()
	again := pgtest.Within(t, "the manual run", started)
	if !again.Manual || again.Attempt != 2 || !again.ScheduledAt.Equal(at) {
		t.Errorf("got %+v, want the second attempt of the manual run", again.Tick)
	}
	c.finish(again, nil)
	c.at(1 * minute)
	c.finish(c.next(started, 1*minute, 1), nil) // a manual run says nothing of what was missed
	c.quit()
	c.wantAttempts(attemptRow{1 * minute, "schedule", "ok", 1, ""}, attemptRow{0, "manual", "ok", 2, ""})
}

// Manual runs have no starting deadline, and may be asked for at the same moment.
func TestManualRunsAreKeptApart(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run).seen()
	c.cron.Overlap, c.cron.StartingDeadline = OverlapQueue, time.Second
	const runs = 20
	for range runs {
		c.exec(`select pgsolo.trigger_job('job')`)
	}
	c.lead(1)
	var before time.Time
	for range runs {
		manual := pgtest.Within(t, "the manual run", started)
		if !manual.ScheduledAt.After(before) {
			t.Errorf("%s comes after %s", manual.ScheduledAt, before)
		}
		before = manual.ScheduledAt
		c.clock.move(c.clock.read().Add(time.Second))
		c.finish(manual, nil)
	}
	c.none(started)
	c.quit()
}

// They were triggered while there was no leader, and an earlier leader's run waits for a retry.
func TestManualRunsBesideWhatIsTakenOver(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run).seen()
	c.exec(`insert into pgsolo.cron_run (job, scheduled_at, term, outcome, next_at)
		values ('job', $1, 1, 'retrying', $1::timestamptz + interval '1 hour')`,
		c.epoch)
	for _, force := range []bool{false, true} {
		if _, err := (admin.CronJobs{}).Trigger(t.Context(), c.pool, "job", force); err != nil {
			t.Fatal(err)
		}
	}
	c.lead(2)
	c.finish(pgtest.Within(t, "the forced run", started), nil)
	c.none(started)
	c.quit()
	c.wantAttempts(attemptRow{0, "schedule", "retrying", 1, ""},
		attemptRow{0, "manual", "skipped", 0, overlapError}, attemptRow{0, "manual", "ok", 1, ""})
}
