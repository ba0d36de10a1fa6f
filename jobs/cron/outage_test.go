package cron

import (
	"testing"
	"time"
)

// What passed while there was no leader is made up for, or not, by the next leader, and by no later one.
func TestMissedOverTerms(t *testing.T) {
	for _, test := range []struct {
		name     string
		missed   Missed
		deadline time.Duration
		cap      int
		now      time.Duration // when the next leader comes
		want     []attemptRow
	}{
		{"skip", MissedSkip, time.Hour, 0, 5*minute + 30*time.Second,
			[]attemptRow{{5 * minute, "catch_up", "missed", 0, "found 30s late"}}},
		{"skip, in time", MissedSkip, time.Hour, 0, 5*minute + time.Second,
			[]attemptRow{{5 * minute, "schedule", "ok", 1, ""}}},
		{"once", MissedOnce, time.Hour, 0, 5*minute + 30*time.Second,
			[]attemptRow{{5 * minute, "catch_up", "ok", 1, ""}}},
		{"once, past the deadline", MissedOnce, 10 * time.Second, 0, 5*minute + 30*time.Second,
			[]attemptRow{{5 * minute, "catch_up", "missed", 0, "found after its starting deadline of 10s"}}},
		{"all", MissedAll, time.Hour, 0, 4*minute + 30*time.Second, []attemptRow{
			{1 * minute, "catch_up", "ok", 1, ""}, {2 * minute, "catch_up", "ok", 1, ""},
			{3 * minute, "catch_up", "ok", 1, ""},
			{4 * minute, "catch_up", "ok", 1, ""}}},
		{"all, within the deadline", MissedAll, 2 * minute, 0, 5*minute + 30*time.Second,
			[]attemptRow{{4 * minute, "catch_up", "ok", 1, ""}, {5 * minute, "catch_up", "ok", 1, ""}}},
		{"all, past the deadline", MissedAll, 10 * time.Second, 0, 5*minute + 30*time.Second,
			[]attemptRow{{5 * minute, "catch_up", "missed", 0, "found after its starting deadline of 10s"}}},
		{"all, capped", MissedAll, 24 * time.Hour, 2, 10*time.Hour + 30*time.Second,
			[]attemptRow{{10*time.Hour - minute, "catch_up", "ok", 1, ""}, {10 * time.Hour, "catch_up", "ok", 1, ""}}},
		{"all, the latest in time", MissedAll, time.Hour, 0, 2 * minute,
			[]attemptRow{{1 * minute, "catch_up", "ok", 1, ""}, {2 * minute, "schedule", "ok", 1, ""}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			run, started := calls(t)
			c := setupCron(t, run).seen()
			c.cron.Missed, c.cron.StartingDeadline, c.cron.MaxCatchUp = test.missed, test.deadline, test.cap
			c.lead(1)
			c.quit()
			c.clock.move(c.epoch.Add(test.now))
			c.leadNext()
			missed := int64(0)
			for _, want := range test.want {
				if want.Outcome == "missed" {
					missed++
					continue
				}
				call := c.next(started, want.After, 1)
				if call.CatchUp != (want.Cause == "catch_up") {
					t.Errorf("got %+v, want %s", call.Tick, want.Cause)
				}
				c.none(started)
				c.finish(call, nil)
			}
			c.none(started)
			if got := c.job.stats().Missed; got != missed {
				t.Errorf("counted %d missed ticks, want %d", got, missed)
			}
			c.quit()
			c.leadNext().none(started)
			c.quit()
			c.wantAttempts(test.want...)
		})
	}
}

// The catch-ups that wait for their turn are the next leader's, in their order, before those which it finds itself.
func TestCatchUpsOverAFailover(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run).seen()
	c.cron.Missed = MissedAll
	c.clock.now = c.epoch.Add(3*minute + 30*time.Second)
	c.lead(1)
	c.next(started, 1*minute, 1)
	c.crash()
	c.clock.move(c.epoch.Add(5*minute + 30*time.Second))
	c.leadNext()
	for m := 2 * minute; m <= 5*minute; m += minute {
		call := c.next(started, m, 1)
		if !call.CatchUp {
			t.Errorf("got %+v, want a catch-up", call.Tick)
		}
		c.none(started)
		c.finish(call, nil)
	}
	c.quit()
}

func TestWeeklyJobUnderDailyRestarts(t *testing.T) {
	const day = 24 * time.Hour
	run, started := calls(t)
	c := setupCron(t, run) // epoch is a Sunday at noon
	c.cron.Schedules, c.cron.StartingDeadline = []string{"0 3 * * 1"}, 12*time.Hour
	c.lead(1)
	for i := range 21 {
		c.at(time.Duration(i)*day + 8*time.Hour)
		c.none(started)
		c.quit()
		c.clock.move(c.epoch.Add(time.Duration(i)*day + 20*time.Hour)) // at eight in the morning
		c.leadNext()
		if i%7 == 0 {
			call := c.next(started, time.Duration(i)*day+15*time.Hour, 1)
			if !call.CatchUp {
				t.Errorf("got %+v, want a catch-up", call.Tick)
			}
			c.finish(call, nil)
		}
		c.none(started)
	}
	c.quit()
	if rows := len(c.runs()); rows != 3 {
		t.Errorf("%d rows, want 3", rows)
	}
}

func TestLongOutageOfAFastJob(t *testing.T) {
	const outage = 14 * 24 * time.Hour
	for _, missed := range []Missed{MissedOnce, MissedSkip} {
		t.Run(string(missed), func(t *testing.T) {
			run, started := calls(t)
			c := setupCron(t, run)
			c.cron.Schedules, c.cron.StartingDeadline, c.cron.Missed = []string{"*/5 * * * * *"}, 2*outage, missed
			c.seen()
			c.clock.now = c.epoch.Add(outage + 3*time.Second)
			begun := time.Now()
			c.lead(1)
			if missed == MissedOnce {
				c.finish(c.next(started, outage, 1), nil)
			}
			c.none(started)
			if took := time.Since(begun); took > 5*time.Second {
				t.Errorf("it took %s", took)
			}
			c.quit()
			if rows := len(c.runs()); rows != 1 {
				t.Errorf("%d rows, want 1", rows)
			}
		})
	}
}

// The tick that is on time waits behind as many as are made up for at most.
func TestCatchUpsDoNotDisplaceTheTickOnTime(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run)
	c.cron.Schedules, c.cron.Missed = []string{"* * * * * *"}, MissedAll
	c.seen()
	c.clock.now = c.epoch.Add(50 * minute)
	c.lead(1)
	c.next(started, 50*minute-1000*time.Second, 1)
	c.crash()
	rows := c.runs()
	if last := rows[len(rows)-1]; len(rows) != 1001 || last != (runRow{50 * minute, "queued", ""}) {
		t.Errorf("%d rows, the last one %+v; want 1001, the last one waiting", len(rows), last)
	}
}
