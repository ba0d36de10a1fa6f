package jobs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

var errDown = errors.New("the target is down")

func testBreaker(b Breaker) (*gate, *handlerCounters, *bytes.Buffer) {
	var (
		counters handlerCounters
		log      bytes.Buffer
	)
	return newGate(&Handler{Breaker: b}, hclog.New(&hclog.LoggerOptions{Output: &log}), &counters), &counters, &log
}

func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, counters, log := testBreaker(Breaker{Failures: 5, Pause: time.Second, MaxPause: 3 * time.Second})
		begun := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		var (
			mu      sync.Mutex // guards starts
			starts  []time.Duration
			workers sync.WaitGroup
		)
		for range 4 { // each attempt takes 10 ms; the target comes back after 7 s
			workers.Go(func() {
				for {
					passed, ok := g.pass(ctx)
					if !ok {
						return
					}
					mu.Lock()
					starts = append(starts, time.Since(begun))
					mu.Unlock()
					elapse(10 * time.Millisecond)
					if time.Since(begun) < 7*time.Second {
						g.report(passed, fmt.Errorf("call: %w", errDown))
					} else {
						g.report(passed, nil)
					}
				}
			})
		}
		const ms = time.Millisecond
		// Four at once, and the first of the next four is the fifth failure. Then 1 s, 2 s, and twice the longest pause.
		want := slices.Concat(slices.Repeat([]time.Duration{0}, 4), slices.Repeat([]time.Duration{10 * ms}, 4),
			[]time.Duration{1020 * ms, 3030 * ms, 6040 * ms, 9050 * ms}, slices.Repeat([]time.Duration{9060 * ms}, 4))
		elapse(9055 * ms)
		synctest.Wait()
		if !counters.breakerOpen.Load() {
			t.Error("not open while the trial runs")
		}
		elapse(10 * ms)
		synctest.Wait()
		cancel()
		workers.Wait()
		if diff := cmp.Diff(want, starts); diff != "" {
			t.Errorf("starts -want +got\n%s", diff)
		}
		if counters.breakerOpen.Load() || counters.breakerOpened.Load() != 1 {
			t.Errorf("open: %t, opened %d times; want false, once", counters.breakerOpen.Load(), counters.breakerOpened.Load())
		}
		if strings.Count(log.String(), "\n") != 2 || !strings.Contains(log.String(), "failures=5 pause=1s error=\"call: the target is down\"") ||
			!strings.Contains(log.String(), "handler goes on: paused_for=9.04s") {
			t.Errorf("want a line for its opening and one for its closing:\n%s", log)
		}
	})
}

func TestBreakerCountsFailuresInARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, counters, _ := testBreaker(Breaker{Failures: 3, Pause: time.Second, MaxPause: time.Minute})
		report := func(errs ...error) {
			for _, err := range errs {
				passed, _ := g.pass(t.Context())
				g.report(passed, err)
			}
		}
		report(errDown, errDown, nil, errDown, fmt.Errorf("wrapped: %w", RetryAfter(time.Hour, errDown)), fmt.Errorf("wrapped: %w", Discard(errDown)))
		report(errDown, errDown)
		if counters.breakerOpened.Load() != 0 {
			t.Error("opened without three failures in a row")
		}
		early, _ := g.pass(t.Context())
		report(RetryAfter(time.Hour, errDown))
		if !counters.breakerOpen.Load() {
			t.Error("not open after three failures in a row, of which one asks for a later attempt")
		}
		g.report(early, nil)
		if !counters.breakerOpen.Load() {
			t.Error("closed by an attempt that began before it opened")
		}
		if _, ok := g.tryPass(); ok {
			t.Error("an attempt may begin at once while it is open")
		}
		elapse(time.Second)
		if _, ok := g.tryPass(); ok {
			t.Error("the trial may be one of a batch")
		}
		report(Discard(errDown))
		if counters.breakerOpen.Load() {
			t.Error("the target has answered, and it is still open")
		}
	})
}

func TestBreakerStopsWaitingAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _, _ := testBreaker(Breaker{Failures: 1, Pause: time.Hour, MaxPause: time.Hour})
		passed, _ := g.pass(t.Context())
		g.report(passed, errDown)
		ctx, cancel := context.WithCancel(t.Context())
		var waiting sync.WaitGroup
		for range 3 {
			waiting.Go(func() {
				if _, ok := g.pass(ctx); ok {
					t.Error("passed")
				}
			})
		}
		begun := time.Now()
		synctest.Wait()
		cancel()
		waiting.Wait()
		if took := time.Since(begun); took != 0 {
			t.Errorf("went on waiting for %s", took)
		}
	})
}

// A start that waited for its turn by the rate does not begin after the breaker has opened.
func TestBreakerOpensDuringRateWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var counters handlerCounters
		g := newGate(&Handler{
			Rate: Rate{Events: 1, Per: time.Second}, Breaker: Breaker{Failures: 1, Pause: time.Minute, MaxPause: time.Minute},
		}, hclog.NewNullLogger(), &counters)
		begun := time.Now()
		passed, _ := g.pass(t.Context())
		second := make(chan time.Duration)
		go func() {
			g.pass(t.Context())
			second <- time.Since(begun)
		}()
		synctest.Wait()
		g.report(passed, errDown)
		if after := <-second; after < time.Minute {
			t.Errorf("the second attempt began after %s, want the pause of a minute", after)
		}
	})
}

// While the target is down little is attempted, what failed is written, what is due again waits too, and another handler goes on.
func TestBreakerOfAHandler(t *testing.T) {
	pool := setup(t)
	attempts := make(chan int64, 100)
	other, others := recorder("other", "t")
	l := lead(t, pool, 1, other, Handler{
		Name: "h", Topic: "t", Concurrency: 2, Retry: Retry{Attempts: 50, Backoff: time.Millisecond, MaxBackoff: time.Millisecond},
		Breaker: Breaker{Failures: 2, Pause: time.Hour, MaxPause: time.Hour},
		Handle: func(_ context.Context, e Event) error {
			attempts <- e.ID
			if e.ID == 1 {
				return nil
			}
			return errDown
		},
	})
	c := l.runner.consumers[1]
	emit(t, pool, "t", `1`)
	pgtest.Within(t, "the first event", attempts)
	pgtest.Eventually(t, "its success to be reported", func() bool { return c.counters.handled.Load() == 1 }) // before any failure
	for range 20 {
		emit(t, pool, "t", `1`)
	}
	for range 21 {
		pgtest.Within(t, "an event of the other handler", others)
	}
	pgtest.Eventually(t, "what came of the attempts to be written", func() bool {
		return pgtest.Value[bool](t, pool, `select coalesce(sum(attempt), 0) between 2 and 3 and bool_and(state = 'retry') from pgsolo.delivery where handler = 'h'`)
	})
	pgtest.Eventually(t, "the retries to wait", func() bool { return len(attempts) <= 3 && c.counters.breakerOpen.Load() && c.waiting() >= 18 })
	l.quit()
	if n := len(attempts); n > 3 { // at most one more was under way on the other worker
		t.Errorf("%d attempts of which two had to do", n)
	}
	if c.counters.breakerOpen.Load() {
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
	pool := setup(t)
	attempts := make(chan Event, 100)
	lead(t, pool, 1, Handler{
		Name: "h", Topic: "t", Retry: Retry{Attempts: 2, Backoff: time.Hour},
		Breaker: Breaker{Failures: 1, Pause: 20 * time.Millisecond, MaxPause: time.Minute},
		Handle: func(_ context.Context, e Event) error {
			attempts <- e
			if e.ID == 1 {
				return errDown
			}
			return nil
		},
	})
	for range 3 {
		emit(t, pool, "t", `1`)
	}
	for id := range int64(3) {
		if e := pgtest.Within(t, "the next event", attempts); e.ID != id+1 {
			t.Errorf("attempt at event %d, want %d", e.ID, id+1)
		}
	}
}
