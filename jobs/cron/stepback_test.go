package cron

import (
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/jobs"
)

// A step back neither starts a tick twice nor keeps later ones from starting.
func TestStepBack(t *testing.T) {
	for name, back := range map[string]time.Duration{
		"2ms": 2 * time.Millisecond, "1s": time.Second, "1h": time.Hour, "1y": 365 * 24 * time.Hour,
	} {
		t.Run(name, func(t *testing.T) {
			run, started := calls(t)
			c := setupCron(t, run)
			// which keeps nothing from starting twice
			c.cron.Schedules, c.cron.Overlap = []string{"*/20 * * * *"}, OverlapAllow
			c.seen().lead(1)
			for m := 20 * minute; m <= 80*minute; m += 20 * minute {
				c.at(m)
				c.finish(c.next(started, m, 1), nil)
			}
			c.at(80*minute - back)
			c.none(started)
			next := 100 * minute
			if back > 2*time.Hour {
				next = 80*minute - back + 20*minute // none of that time has been seen
			}
			for m := 80*minute - back; m < next; m += 5 * minute {
				c.at(m)
				c.none(started)
			}
			c.at(next)
			c.finish(c.next(started, next, 1), nil)
			c.quit()
			c.leadNext().none(started)
			c.quit()
			if rows := len(c.runs()); rows != 5 {
				t.Errorf("%d rows, want 5", rows)
			}
		})
	}
}

// A tick comes due a second time while its run is under way, and so does one before that.
func TestStepBackDuringARun(t *testing.T) {
	for _, overlap := range []Overlap{OverlapSkip, OverlapQueue, OverlapReplace, OverlapAllow} {
		for name, back := range map[string]time.Duration{"2ms": 2 * time.Millisecond, "1m": minute,
			"1m30s": minute + 30*time.Second} {
			t.Run(string(overlap)+" "+name, func(t *testing.T) {
				run, started := calls(t)
				c := setupCron(t, run).seen()
				c.cron.Overlap = overlap
				c.lead(1).at(1 * minute)
				c.finish(c.next(started, 1*minute, 1), nil)
				c.at(2 * minute)
				second := c.next(started, 2*minute, 1)
				c.at(2*minute - back)
				c.at(1 * minute)
				c.at(2 * minute)
				c.none(started)
				if second.ctx.Err() != nil {
					t.Error("the run is cancelled for a tick that has been decided on")
				}
				c.finish(second, nil)
				c.none(started)
				c.at(3 * minute)
				c.finish(c.next(started, 3*minute, 1), nil)
				c.quit()
				c.wantRuns(runRow{1 * minute, "ok", ""}, runRow{2 * minute, "ok", ""}, runRow{3 * minute, "ok", ""})
				if stats := c.job.stats(); stats.Started != 3 || stats.Skipped != 0 || stats.Replaced != 0 {
					t.Errorf("stats: %+v", stats)
				}
			})
		}
	}
}

// The tick comes due a second time when its run has ended and that is not written yet.
func TestStepBackBeforeTheEndIsWritten(t *testing.T) {
	for _, overlap := range []Overlap{OverlapSkip, OverlapQueue, OverlapReplace, OverlapAllow} {
		t.Run(string(overlap), func(t *testing.T) {
			run, started := calls(t)
			c := setupCron(t, run).seen()
			c.cron.Overlap = overlap
			c.lead(1).at(1 * minute)
			first := c.next(started, 1*minute, 1)
			c.at(1*minute - 2*time.Millisecond)
			c.clock.move(c.epoch.Add(1 * minute)) // which is seen when the run has ended
			first.end <- nil
			c.over(first.Tick)
			c.none(started)
			c.at(2 * minute)
			c.finish(c.next(started, 2*minute, 1), nil)
			c.quit()
			c.wantRuns(runRow{1 * minute, "ok", ""}, runRow{2 * minute, "ok", ""})
		})
	}
}

// The rows of ticks that come a second time may have been pruned.
func TestStepBackAfterPruning(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run)
	c.cron.Schedules, c.cron.History = []string{"* * * * * *"}, History{Runs: 2, FailedRuns: 2}
	c.clock.now = c.epoch
	c.seen().lead(1)
	for s := time.Second; s <= 10*time.Second; s += time.Second {
		c.at(s)
		c.finish(c.next(started, s, 1), nil)
	}
	if err := c.all.pruner(c.term).prunePage(t.Context(), c.all.jobs); err != nil {
		t.Fatal(err)
	}
	for s := time.Duration(0); s <= 10*time.Second; s += time.Second {
		c.at(s)
		c.none(started)
	}
	c.at(11 * time.Second)
	c.finish(c.next(started, 11*time.Second, 1), nil)
	c.quit()
}

// Rows of a clock that was ahead neither push out those of the time that is right, nor keep the next leader from
// knowing what has been decided on.
func TestClockWasAhead(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run).seen()
	c.cron.History = History{Runs: 2, FailedRuns: 2}
	const ahead = 365 * 24 * time.Hour
	c.clock.now = c.epoch.Add(ahead + 30*time.Second)
	c.cron.Missed = MissedSkip
	c.lead(1)
	for m := 1 * minute; m <= 4*minute; m += minute {
		c.at(ahead + m)
		c.finish(c.next(started, ahead+m, 1), nil)
	}
	c.at(30 * time.Second)
	c.at(1 * minute)
	c.finish(c.next(started, 1*minute, 1), nil)
	if err := c.all.pruner(c.term).prunePage(t.Context(), c.all.jobs); err != nil {
		t.Fatal(err)
	}
	c.quit()
	c.leadNext().none(started)
	c.at(2 * minute)
	c.finish(c.next(started, 2*minute, 1), nil)
	c.quit()
}

// A retry waits as long as it was to wait, whatever the clock says.
func TestStepBackBeforeARetry(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run)
	c.cron.Schedules = []string{"1 12 * * *"}
	c.seen().retrying(2).lead(1).at(1 * minute)
	c.finish(c.next(started, 1*minute, 1), jobs.RetryAfter(60*minute, errNoDisk)) // at 61
	c.at(40 * minute)
	c.at(20 * minute)
	c.at(41*minute - 1)
	c.none(started)
	c.at(41 * minute)
	c.finish(c.next(started, 1*minute, 2), nil)
	c.quit()
}

// More jobs than a scan takes at a time have to be scanned when the clock has been set back.
func TestStepBackOfManyJobs(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run)
	c.cron.Schedules = []string{"1 12 * * *"}
	for i := range pageSize + 100 {
		c.others = append(c.others, Job{Name: "other" + time.Duration(i).String(), Schedules: []string{"0 0 1 1 *"},
			Run: run})
	}
	c.seen().retrying(2).lead(1).at(1 * minute)
	c.finish(c.next(started, 1*minute, 1), jobs.RetryAfter(60*minute, errNoDisk))
	c.at(40 * minute)
	c.exec(`update pgsolo.cron_job set paused_at = now() where job <> 'job'`)
	c.clock.move(c.epoch.Add(20 * minute))
	c.notify()
	c.at(41*minute - 1)
	c.none(started)
	c.at(41 * minute)
	c.finish(c.next(started, 1*minute, 2), nil)
	c.quit()
}

// What a step forward leaves out is missed.
func TestStepForward(t *testing.T) {
	const hour = 61*minute + 30*time.Second
	for _, test := range []struct {
		missed Missed
		want   []attemptRow
	}{
		{MissedSkip, []attemptRow{{61 * minute, "catch_up", "missed", 0, "found 30s late"}}},
		{MissedOnce, []attemptRow{{61 * minute, "catch_up", "ok", 1, ""}}},
		{MissedAll, []attemptRow{{31 * minute, "catch_up", "ok", 1, ""}, {46 * minute, "catch_up", "ok", 1, ""},
			{61 * minute, "catch_up", "ok", 1, ""}}},
	} {
		t.Run(string(test.missed), func(t *testing.T) {
			run, started := calls(t)
			c := setupCron(t, run)
			c.cron.Schedules = []string{"1,16,31,46 * * * *"}
			c.cron.Missed, c.cron.StartingDeadline = test.missed, 40*minute
			c.seen().lead(1).at(1 * minute)
			c.finish(c.next(started, 1*minute, 1), nil)
			c.at(hour)
			for _, want := range test.want {
				if want.Outcome == "ok" {
					c.finish(c.next(started, want.After, 1), nil)
				}
			}
			c.none(started)
			c.at(62 * minute) // the repeated ticks are not of that time
			c.none(started)
			c.at(76 * minute)
			c.finish(c.next(started, 76*minute, 1), nil)
			c.quit()
			want := append([]attemptRow{{1 * minute, "schedule", "ok", 1, ""}}, test.want...)
			c.wantAttempts(append(want, attemptRow{76 * minute, "schedule", "ok", 1, ""})...)
		})
	}
}
