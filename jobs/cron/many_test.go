package cron

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// Ten thousand jobs are due at the same moment. Each starts exactly once, also when the leader is stopped in the middle
// of that.
func TestManyJobs(t *testing.T) {
	const jobs, stopAt = 10_000, 3000
	var (
		mu     sync.Mutex // guards all below
		starts = map[string]int{}
		total  int
		inTerm int
		stop   func() // at that many starts in a term
	)
	run := func(_ context.Context, tick Tick) error {
		mu.Lock()
		defer mu.Unlock()
		starts[fmt.Sprint(tick.Job, tick.ScheduledAt.Unix())]++
		total++
		if inTerm++; inTerm == stopAt && stop != nil {
			stop()
		}
		return nil
	}
	c := setupCron(t, run)
	c.cron.Missed = MissedOnce
	for i := 1; i < jobs; i++ {
		other := c.cron
		other.Name = fmt.Sprint("job", i)
		c.others = append(c.others, other)
	}
	check := func(want int) {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		for key, n := range starts {
			if n != 1 {
				t.Errorf("%s started %d times", key, n)
			}
		}
		if total != want {
			t.Errorf("%d starts, want %d", total, want)
		}
	}
	c.lead(1).at(1 * minute)
	c.idle()
	check(jobs)
	stopped := c.stop
	mu.Lock()
	inTerm, stop = 0, sync.OnceFunc(func() { close(stopped) })
	mu.Unlock()
	c.clock.move(c.epoch.Add(2 * minute))
	c.clock.wake(t)
	if err := pgtest.Within(t, "the job to end", c.ended); err != nil {
		t.Error(err)
	}
	mu.Lock()
	first := inTerm
	stop = nil
	mu.Unlock()
	if first < stopAt || first == jobs {
		t.Errorf("%d jobs started before the stop, want some", first)
	}
	check(jobs + first)
	c.clock.move(c.epoch.Add(2*minute + 30*time.Second))
	c.lead(2)
	c.idle()
	check(2 * jobs)
	c.quit()
	if ok := pgtest.Value[int](t, c.pool,
		`select count(*) from pgsolo.cron_run where outcome = 'ok' and attempt = 1`); ok != 2*jobs {
		t.Errorf("%d rows of runs that succeeded, want %d", ok, 2*jobs)
	}
	if made := pgtest.Value[int](t, c.pool,
		`select count(*) from pgsolo.cron_run where cause = 'catch_up'`); made != jobs-first {
		t.Errorf("%d catch-ups, want %d", made, jobs-first)
	}
}
