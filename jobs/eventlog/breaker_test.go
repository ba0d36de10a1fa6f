package eventlog

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
)

// While the target is down little is attempted, what failed is written, what is due again waits too, and another
// handler goes on.
var errDown = errors.New("the target is down")

func TestBreakerOfAHandler(t *testing.T) {
	pool := jobstest.Pool(t)
	attempts := make(chan int64, 100)
	other, others := recorder("other", "t")
	l := lead(t, pool, 1, other, Handler{
		Name: "h", Topic: "t", Concurrency: 2,
		Retry:   jobs.Retry{Attempts: 50, Backoff: time.Millisecond, MaxBackoff: time.Millisecond},
		Breaker: jobs.Breaker{Failures: 2, Pause: time.Hour, MaxPause: time.Hour},
		Handle: func(_ context.Context, e Event) error {
			attempts <- e.ID
			if e.ID == 1 {
				return nil
			}
			return errDown
		},
	})
	c := l.runner.handlers[1]
	jobstest.Emit(t, pool, "t", `1`)
	pgtest.Within(t, "the first event", attempts)
	// before any failure
	pgtest.Eventually(t, "its success to be reported", func() bool { return c.counters.Handled.Load() == 1 })
	for range 20 {
		jobstest.Emit(t, pool, "t", `1`)
	}
	for range 21 {
		pgtest.Within(t, "an event of the other handler", others)
	}
	pgtest.Eventually(t, "what came of the attempts to be written", func() bool {
		return pgtest.Value[bool](t, pool,
			`select coalesce(sum(attempt), 0) between 2 and 3 and bool_and(state = 'retry') from pgsolo.delivery
				where handler = 'h'`)
	})
	pgtest.Eventually(t, "the retries to wait", func() bool {
		return len(attempts) <= 3 && c.counters.Gate.Open.Load() && c.waiting() >= 18
	})
	l.quit()
	if n := len(attempts); n > 3 { // at most one more was under way on the other worker
		t.Errorf("%d attempts of which two had to do", n)
	}
	if c.counters.Gate.Open.Load() {
		t.Error("counts as paused after the end")
	}

	ok, events := recorder("h", "t")
	lead(t, pool, 2, ok)
	ids := map[int64]bool{}
	for len(ids) < 20 {
		ids[pgtest.Within(t, "what was kept back", events).ID] = true
	}
}

// One event that always fails opens the breaker; another one closes it.
func TestBreakerTriesTheNextEvent(t *testing.T) {
	pool := jobstest.Pool(t)
	attempts := make(chan Event, 100)
	lead(t, pool, 1, Handler{
		Name: "h", Topic: "t", Retry: jobs.Retry{Attempts: 2, Backoff: time.Hour},
		Breaker: jobs.Breaker{Failures: 1, Pause: 20 * time.Millisecond, MaxPause: time.Minute},
		Handle: func(_ context.Context, e Event) error {
			attempts <- e
			if e.ID == 1 {
				return errDown
			}
			return nil
		},
	})
	for range 3 {
		jobstest.Emit(t, pool, "t", `1`)
	}
	for id := range int64(3) {
		if e := pgtest.Within(t, "the next event", attempts); e.ID != id+1 {
			t.Errorf("attempt at event %d, want %d", e.ID, id+1)
		}
	}
}
