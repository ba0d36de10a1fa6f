package cron

import (
	"fmt"
	"testing"
	"time"
)

func TestDelay(t *testing.T) {
	const jitter = 10 * minute
	seen := map[time.Duration]bool{}
	var least, most time.Duration = jitter, 0
	for i := range 1000 {
		c := Job{Name: fmt.Sprint("job", i), Jitter: jitter}
		delay := c.Delay()
		if delay < 0 || delay > jitter || delay != c.Delay() {
			t.Fatalf("delay of %s: %s, then %s", c.Name, delay, c.Delay())
		}
		seen[delay] = true
		least, most = min(least, delay), max(most, delay)
	}
	if len(seen) < 990 || least > minute || most < 9*minute {
		t.Errorf("%d delays from %s to %s, want them spread over %s", len(seen), least, most, jitter)
	}
	if delay := (Job{Name: "job"}).Delay(); delay != 0 {
		t.Errorf("delay without a jitter: %s", delay)
	}
}

// A jitter may be longer than the period. A tick keeps its time, and is late when it comes after its own start.
func TestJitter(t *testing.T) {
	for _, jitter := range []time.Duration{30 * time.Second, 30 * minute} {
		t.Run(jitter.String(), func(t *testing.T) {
			run, started := calls(t)
			c := setupCron(t, run).seen()
			c.cron.Jitter, c.cron.StartingDeadline = jitter, minute
			delay := c.cron.Delay()
			c.clock.now = c.epoch
			c.lead(1)
			if next := c.job.stats().Next; !next.Equal(c.epoch.Add(1*minute + delay)) {
				t.Errorf("next tick: %s, want %s", next, c.epoch.Add(1*minute+delay))
			}
			c.at(1*minute + delay - 1)
			c.none(started)
			c.at(1*minute + delay)
			first := c.next(started, 1*minute, 1)
			if first.CatchUp {
				t.Error("it counts as missed")
			}
			c.finish(first, nil)
			c.at(2*minute + delay)
			c.finish(c.next(started, 2*minute, 1), nil)
			if late := c.job.stats().Lateness; late.Count != 2 || late.Sum > 0.001 {
				t.Errorf("lateness: %+v, want none", late)
			}
			c.quit()
			c.clock.move(c.epoch.Add(4*minute + delay + 30*time.Second))
			c.leadNext()
			missed := c.next(started, 4*minute, 1)
			if !missed.CatchUp {
				t.Error("it does not count as missed")
			}
			c.finish(missed, nil)
			c.at(5*minute + delay - 1)
			c.none(started)
			c.quit()
			c.clock.move(c.epoch.Add(7*minute + delay - time.Second))
			c.cron.StartingDeadline = 58 * time.Second
			c.leadNext().none(started)
			c.at(7*minute + delay)
			c.finish(c.next(started, 7*minute, 1), nil)
			c.quit()
			c.wantRuns(runRow{1 * minute, "ok", ""}, runRow{2 * minute, "ok", ""}, runRow{4 * minute, "ok", ""},
				runRow{6 * minute, "missed", "found after its starting deadline of 58s"}, runRow{7 * minute, "ok", ""})
		})
	}
}

func TestStepBackWithJitter(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run).seen()
	c.cron.Jitter = 30 * minute
	delay := c.cron.Delay()
	c.clock.now = c.epoch
	c.lead(1)
	for m := 1 * minute; m <= 3*minute; m += minute {
		c.at(m + delay)
		c.finish(c.next(started, m, 1), nil)
	}
	for _, back := range []time.Duration{3*minute + delay - 2*time.Millisecond, 2 * minute, 1*minute + delay,
		3*minute + delay} {
		c.at(back)
		c.none(started)
	}
	c.at(4*minute + delay)
	c.finish(c.next(started, 4*minute, 1), nil)
	c.quit()
	c.wantRuns(runRow{1 * minute, "ok", ""}, runRow{2 * minute, "ok", ""}, runRow{3 * minute, "ok", ""},
		runRow{4 * minute, "ok", ""})
}
