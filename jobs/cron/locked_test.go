package cron

import (
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs/cron/internal/rows"
)

// lockRow holds a lock on a tick's row, as an update does that is not committed, until what it returns is called.
func (c *cronTest) lockRow(after time.Duration) (unlock func()) {
	c.t.Helper()
	tx := jobstest.Begin(c.t, c.pool)
	if _, err := tx.Exec(c.t.Context(), `update pgsolo.cron_run set error = 'mine' where scheduled_at = $1`,
		c.epoch.Add(after)); err != nil {
		c.t.Fatal(err)
	}
	return func() {
		c.t.Helper()
		if err := tx.Rollback(c.t.Context()); err != nil {
			c.t.Fatal(err)
		}
	}
}

func (c *cronTest) outcome(after time.Duration) string {
	c.t.Helper()
	return pgtest.Value[string](c.t, c.pool, `select outcome from pgsolo.cron_run where scheduled_at = $1`,
		c.epoch.Add(after))
}

// eventuallyScanning has the loop wake until something is so.
func (c *cronTest) eventuallyScanning(what string, so func() bool) {
	c.t.Helper()
	pgtest.Eventually(c.t, what, func() bool {
		timer, _ := c.clock.waiting()
		select {
		case timer <- time.Time{}:
		default:
		}
		return so()
	})
}

// A lock on a running row holds up no other job, nor the next ticks of this one. How the run ended is
// written when the lock has gone.
func TestEndOfARunWhoseRowIsLocked(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run).seen()
	c.others = []Job{{Name: "other", Schedules: []string{"2 12 * * *"}, Run: run}}
	c.lead(1).at(1 * minute)
	first := c.next(started, 1*minute, 1)
	unlock := c.lockRow(1 * minute)
	first.end <- nil
	pgtest.Eventually(t, "the run to end", func() bool { return c.job.stats().Running == 0 })
	c.at(2 * minute)
	for range 2 { // of both jobs
		c.finish(pgtest.Within(t, "a tick beside the lock", started), nil)
	}
	if outcome := c.outcome(1 * minute); outcome != rows.Running {
		t.Errorf("the locked row is %s", outcome)
	}
	unlock()
	c.eventuallyScanning("the end to be written", func() bool { return c.outcome(1*minute) == rows.OK })
	c.quit()
	if stats := c.job.stats(); stats.Succeeded != 2 || !stats.LastSuccess.Equal(c.epoch.Add(2*minute)) {
		t.Errorf("stats: %+v", stats)
	}
}

// A retry, and a run that waits for its turn, start when their row is free. Until then they count as runs
// of their job.
func TestStartOfARunWhoseRowIsLocked(t *testing.T) {
	for name, reach := range map[string]func(*cronTest, chan *call) (attempt int){
		"retry": func(c *cronTest, started chan *call) int {
			c.lead(1).at(1 * minute)
			c.finish(c.next(started, 1*minute, 1), errNoDisk)
			return 2
		},
		"queued": func(c *cronTest, _ chan *call) int {
			c.exec(`insert into pgsolo.cron_run (job, scheduled_at, term, outcome, attempt, started_at)
				values ('job', $1, 1, 'queued', 0, null)`,
				c.epoch.Add(1*minute))
			return 1
		},
	} {
		t.Run(name, func(t *testing.T) {
			run, started := calls(t)
			c := setupCron(t, run).seen().retrying(3)
			attempt := reach(c, started)
			unlock := c.lockRow(1 * minute)
			if name == "queued" {
				c.clock.now = c.epoch.Add(1*minute + 30*time.Second)
				c.lead(2)
			}
			c.at(2 * minute)
			c.none(started)
			c.at(3 * minute)
			c.none(started)
			if stats := c.job.stats(); stats.Running != 0 || stats.Waiting != 1 {
				t.Errorf("stats: %+v, want one that waits", stats)
			}
			unlock()
			c.at(3*minute + deferFor)
			again := pgtest.Within(t, "the start", started)
			if again.Attempt != attempt || !again.ScheduledAt.Equal(c.epoch.Add(1*minute)) {
				t.Errorf("%+v starts, want attempt %d of the first tick", again.Tick, attempt)
			}
			c.finish(again, nil)
			c.quit()
			c.wantAttempts(attemptRow{1 * minute, "schedule", "ok", attempt, ""},
				attemptRow{2 * minute, "schedule", "skipped", 0, overlapError},
				attemptRow{3 * minute, "schedule", "skipped", 0, overlapError})
		})
	}
}

// The leader ends while a row is locked: that of a run which has ended stays open, and is the next leader's.
func TestEndsWhileARowIsLocked(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run).seen().lead(1)
	c.at(1 * minute)
	first := c.next(started, 1*minute, 1)
	unlock := c.lockRow(1 * minute)
	first.end <- nil
	pgtest.Eventually(t, "the run to end", func() bool { return c.job.stats().Running == 0 })
	c.scan()
	c.quit()
	c.leadNext().at(2 * minute)
	c.finish(c.next(started, 2*minute, 1), nil)
	unlock()
	c.eventuallyScanning("the end to be written", func() bool { return c.outcome(1*minute) == rows.Interrupted })
	c.quit()
}

// A foreign key to the history, which an open transaction uses, is no lock that anything waits for.
func TestRowThatAForeignKeyRefersTo(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run).seen().lead(1)
	c.exec(`create table report (job text, at timestamptz,
		foreign key (job, at) references pgsolo.cron_run (job, scheduled_at) on delete cascade)`)
	c.at(1 * minute)
	first := c.next(started, 1*minute, 1)
	tx := jobstest.Begin(t, c.pool)
	if _, err := tx.Exec(t.Context(), `insert into report values ('job', $1)`, first.ScheduledAt); err != nil {
		t.Fatal(err)
	}
	c.finish(first, nil)
	if outcome := c.outcome(1 * minute); outcome != rows.OK {
		t.Errorf("the row is %s", outcome)
	}
	c.quit()
}

// What is deferred in a drain, or when the leader ends, is written when the lock goes.
func TestPlannedStopWhileARowIsLocked(t *testing.T) {
	for name, drain := range map[string]bool{"drain": true, "end": false} {
		t.Run(name, func(t *testing.T) {
			run, started := calls(t)
			c := setupCron(t, run).seen()
			c.cron.Overlap = OverlapAllow
			c.lead(1).at(1 * minute)
			first := c.next(started, 1*minute, 1)
			c.at(2 * minute)
			second := c.next(started, 2*minute, 1)
			unlock := c.lockRow(1 * minute)
			first.end <- nil
			pgtest.Eventually(t, "the run to end", func() bool { return c.job.stats().Running == 1 })
			c.scan()
			if !drain {
				c.finish(second, nil)
			}
			begun := time.Now()
			close(c.stop)
			unlock()
			if drain {
				c.eventuallyScanning("the end to be written", func() bool { return c.outcome(1*minute) == rows.OK })
				second.end <- nil
			}
			if err := pgtest.Within(t, "the job to end", c.ended); err != nil {
				t.Error(err)
			}
			if took := time.Since(begun); !drain && took >= lastOutcome {
				t.Skipf("the machine is too slow for that: it took %s", took)
			}
			c.wantRuns(runRow{1 * minute, "ok", ""}, runRow{2 * minute, "ok", ""})
		})
	}
}

// A start that waits for its row is one that waits: a pause and a later tick hold for it.
func TestLockedStartWaits(t *testing.T) {
	t.Run("paused", func(t *testing.T) {
		run, started := calls(t)
		c := setupCron(t, run).seen().retrying(3).lead(1)
		c.at(1 * minute)
		c.finish(c.next(started, 1*minute, 1), errNoDisk)
		unlock := c.lockRow(1 * minute)
		c.at(2 * minute)
		c.pause()
		unlock()
		c.at(4 * minute)
		c.none(started)
		c.resume()
		c.finish(c.next(started, 1*minute, 2), nil)
		c.quit()
	})
	t.Run("replaced", func(t *testing.T) {
		run, started := calls(t)
		c := setupCron(t, run).seen().retrying(3)
		c.cron.Overlap, c.cron.Schedules = OverlapReplace, []string{"1,3 12 * * *"}
		c.lead(1).at(1 * minute)
		c.finish(c.next(started, 1*minute, 1), errNoDisk)
		unlock := c.lockRow(1 * minute)
		c.at(2 * minute)
		c.none(started)
		c.at(3 * minute)
		c.finish(c.next(started, 3*minute, 1), nil)
		unlock()
		c.eventuallyScanning("the end to be written", func() bool { return c.outcome(1*minute) == rows.Replaced })
		c.none(started)
		c.quit()
	})
}
