package cron

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/cron/internal/clock"
)

// stall keeps the leader from writing what is due at so long after epoch, until what it returns is called.
func (c *cronTest) stall(at time.Duration) (end func()) {
	c.t.Helper()
	tx := jobstest.Begin(c.t, c.pool)
	if _, err := tx.Exec(c.t.Context(), `select from pgsolo.cron_leader for update`); err != nil {
		c.t.Fatal(err)
	}
	c.clock.move(c.epoch.Add(at))
	c.clock.wake(c.t)
	pgtest.Eventually(c.t, "the row to be waited for", func() bool {
		return pgtest.Value[bool](c.t, c.pool,
			`select exists (select from pg_stat_activity where datname = current_database()
				and wait_event_type = 'Lock')`)
	})
	return func() {
		c.t.Helper()
		if err := tx.Rollback(c.t.Context()); err != nil {
			c.t.Fatal(err)
		}
	}
}

// The database does not answer for a while, during which a tick comes due: there is no other leader, so it is not
// missed.
func TestStallOfTheDatabase(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run).seen()
	c.cron.Missed, c.cron.Overlap = MissedSkip, OverlapAllow
	end := c.lead(1).stall(1 * minute)
	stalled := time.After(1500 * time.Millisecond) // the stall itself
	select {
	case call := <-started:
		t.Errorf("%+v starts without a row", call.Tick)
	case <-stalled:
	}
	const late = clock.MissedAfter + 1400*time.Millisecond
	c.clock.move(c.epoch.Add(2*minute + late))
	end()
	c.finish(pgtest.Within(t, "one of two ticks", started), nil)
	c.finish(pgtest.Within(t, "the other one", started), nil)
	begun := time.Now()
	c.scan()
	c.at(3*minute + late) // nothing held it up
	if took := time.Since(begun); took >= late-clock.MissedAfter {
		t.Skipf("the machine is too slow for that: it took %s", took)
	}
	c.none(started)
	c.quit()
	c.wantRuns(runRow{1 * minute, "ok", ""}, runRow{2 * minute, "ok", ""},
		runRow{3 * minute, "missed", "found 2s late"})
}

// What writing has taken is no part of the wait for the next tick.
func TestWaitsFromNowOn(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run).seen()
	end := c.lead(1).stall(1 * minute)
	c.clock.move(c.epoch.Add(2*minute - 5*time.Second))
	_, waits := c.clock.waiting()
	end()
	c.next(started, 1*minute, 1)
	pgtest.Within(t, "the loop to wait", waits)
	c.clock.mu.Lock()
	got := c.clock.waits
	c.clock.mu.Unlock()
	if got > 5*time.Second {
		t.Errorf("it waits for %s, with the next tick in 5s", got)
	}
	c.die()
}

// The older leader learns of it at its next write, and writes nothing.
func TestIsFencedAtItsNextWrite(t *testing.T) {
	for name, write := range map[string]func(*cronTest, *call){
		"begin":  func(c *cronTest, _ *call) { c.clock.move(c.epoch.Add(2 * minute)); c.clock.wake(c.t) },
		"settle": func(_ *cronTest, call *call) { call.end <- nil },
	} {
		t.Run(name, func(t *testing.T) {
			run, started := calls(t)
			c := setupCron(t, run).seen().lead(1)
			c.at(1 * minute)
			call := c.next(started, 1*minute, 1)
			c.exec(`update pgsolo.cron_leader set term = 2`)
			write(c, call)
			if err := pgtest.Within(t, "the job to end", c.ended); !errors.Is(err, jobs.ErrFenced) {
				t.Errorf("ended with %v, want %v", err, jobs.ErrFenced)
			}
			if name == "begin" && !errors.Is(context.Cause(call.ctx), jobs.ErrFenced) {
				t.Errorf("the run ended because of %v, want %v", context.Cause(call.ctx), jobs.ErrFenced)
			}
			c.wantRuns(runRow{1 * minute, "running", ""})
			if stats := c.job.stats(); stats.Running != 0 || stats.Waiting != 0 || stats.Succeeded != 0 {
				t.Errorf("stats: %+v", stats)
			}
		})
	}
}

// Another election takes one of two jobs, as the version before does at once. This leader starts nothing of it any
// more, and goes on with the other one, until that one lets it go.
func TestJobGoesToAnotherGroup(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run).seen()
	c.others = []Job{{Name: "other", Schedules: []string{"* * * * *"}, Run: run}}
	c.lead(1)
	other := c.all.store
	other.Group = "second"
	if _, err := c.claim(other, 1, c.all.jobs[:1]); err != nil {
		t.Fatal(err)
	}
	c.at(1 * minute)
	call := pgtest.Within(t, "the tick of the other job", started)
	if call.Job != "other" {
		t.Errorf("%+v starts, which is another group's", call.Tick)
	}
	c.none(started)
	c.finish(call, nil)
	c.notify()
	if stats := c.job.stats(); stats.HeldBy != "second" {
		t.Errorf("stats: %+v", stats)
	}
	c.at(2 * minute)
	c.finish(pgtest.Within(t, "the next tick of the other job", started), nil)
	c.none(started)
	c.exec(`update pgsolo.cron_job set forgotten_at = now() where "group" = 'second'`)
	c.eventuallyScanning("the job to be let go", func() bool { return c.job.stats().HeldBy == "" })
	c.at(3 * minute)
	for range 2 {
		c.finish(pgtest.Within(t, "a tick", started), nil)
	}
	c.quit()
}

// What is counted of a job, and what a new leader knows of it from the rows.
func TestStatsOverAFailover(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run).seen()
	c.cron.Overlap = OverlapQueue
	c.lead(1).at(1 * minute)
	c.finish(c.next(started, 1*minute, 1), nil)
	c.at(2*minute + 200*time.Millisecond)
	second := c.next(started, 2*minute, 1)
	c.at(3 * minute)
	stats := c.job.stats()
	if stats.Running != 1 || stats.Waiting != 1 || !stats.Next.Equal(c.epoch.Add(4*minute)) ||
		!stats.LastSuccess.Equal(c.epoch.Add(1*minute)) {
		t.Errorf("stats: %+v", stats)
	}
	if stats.Lateness.Count != 2 || stats.Lateness.Sum < 0.199 || stats.Lateness.Sum > 0.201 {
		t.Errorf("lateness: %+v, want 200 ms in all", stats.Lateness)
	}
	c.die()
	if _, ok := <-second.ctx.Done(); ok {
		t.Error("the run goes on")
	}
	if stats := c.job.stats(); stats.Running != 0 || stats.Waiting != 0 || !stats.Next.IsZero() ||
		stats.Interrupted != 1 || stats.Succeeded != 1 {
		t.Errorf("stats after the end: %+v", stats)
	}
	success := pgtest.Value[time.Time](t, c.pool, `select finished_at from pgsolo.cron_run where outcome = 'ok'`)
	c.leadNext()
	third := c.next(started, 3*minute, 1)
	if stats := c.job.stats(); !stats.LastSuccess.Equal(success) || stats.Running != 1 || stats.Waiting != 0 ||
		stats.Started != 1 {
		t.Errorf("stats of the next leader: %+v, want the last success at %s", stats, success)
	}
	c.finish(third, nil)
	if stats := c.job.stats(); !stats.LastSuccess.Equal(c.epoch.Add(3 * minute)) {
		t.Errorf("last success: %s", stats.LastSuccess)
	}
	c.quit()
}
