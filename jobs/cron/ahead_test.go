package cron

import (
	"strings"
	"testing"
	"time"
)

// The clock of a new leader is ahead of the database's: what has passed by both clocks is made up for, and what has
// passed by this one alone is not. A leader whose clock is right starts that when it comes.
func TestClockThatIsAhead(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run).seen()
	c.cron.Missed, c.cron.StartingDeadline = MissedAll, 24*time.Hour
	c.ahead.Store(int64(time.Hour))
	c.clock.now = c.epoch.Add(time.Hour + 2*minute + 30*time.Second)
	c.lead(1)
	for _, at := range []time.Duration{1 * minute, 2 * minute} {
		call := c.next(started, at, 1)
		if !call.CatchUp {
			t.Errorf("the tick at %s is not made up for", at)
		}
		c.finish(call, nil)
	}
	c.none(started)
	c.at(time.Hour + 3*minute) // by its own clock, for lack of another
	c.finish(c.next(started, time.Hour+3*minute, 1), nil)
	c.quit()
	if !strings.Contains(c.log.String(), "clock is ahead of the database's") {
		t.Errorf("not said:\n%s", &c.log)
	}

	c.ahead.Store(0)
	c.clock.move(c.epoch.Add(3*minute + 30*time.Second))
	c.leadNext()
	call := c.next(started, 3*minute, 1)
	if !call.CatchUp {
		t.Error("the tick that was still to come is not made up for")
	}
	c.finish(call, nil)
	c.at(4 * minute)
	c.finish(c.next(started, 4*minute, 1), nil)
	c.quit()
}

// The clock of a leader goes forth by an hour. Where the database's does too, as when the machine was suspended, time
// has passed.
func TestClockGoesForth(t *testing.T) {
	for name, passed := range map[string]bool{"was set": false, "was suspended": true} {
		t.Run(name, func(t *testing.T) {
			run, started := calls(t)
			c := setupCron(t, run).seen()
			c.cron.Missed, c.cron.Schedules = MissedOnce, []string{"1,30 * * * *"}
			c.cron.StartingDeadline = 24 * time.Hour
			c.lead(1).at(1 * minute)
			c.finish(c.next(started, 1*minute, 1), nil)
			if !passed {
				c.ahead.Store(int64(50 * minute))
			}
			c.at(52 * minute)
			if passed {
				c.finish(c.next(started, 30*minute, 1), nil)
			}
			c.none(started)
			c.at(61 * minute)
			c.finish(c.next(started, 61*minute, 1), nil)
			c.quit()
		})
	}
}
