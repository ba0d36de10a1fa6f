package gate

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

	"github.com/pgsolo/pgsolo/jobs"
)

var ErrDown = errors.New("the target is down")

func testBreaker(b jobs.Breaker) (*Gate, *Counts, *bytes.Buffer) {
	var (
		counters Counts
		log      bytes.Buffer
	)
	return New(jobs.Rate{}, b, hclog.New(&hclog.LoggerOptions{Output: &log}), &counters), &counters, &log
}

func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, counters, log := testBreaker(jobs.Breaker{Failures: 5, Pause: time.Second, MaxPause: 3 * time.Second})
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
					passed, ok := g.Pass(ctx)
					if !ok {
						return
					}
					mu.Lock()
					starts = append(starts, time.Since(begun))
					mu.Unlock()
					<-time.After(10 * time.Millisecond)
					if time.Since(begun) < 7*time.Second {
						g.Report(passed, fmt.Errorf("call: %w", ErrDown))
					} else {
						g.Report(passed, nil)
					}
				}
			})
		}
		const ms = time.Millisecond
		// Four at once, and the first of the next four is the fifth failure. Then 1 s, 2 s, and twice the longest
		// pause.
		want := slices.Concat(slices.Repeat([]time.Duration{0}, 4), slices.Repeat([]time.Duration{10 * ms}, 4),
			[]time.Duration{1020 * ms, 3030 * ms, 6040 * ms, 9050 * ms}, slices.Repeat([]time.Duration{9060 * ms}, 4))
		<-time.After(9055 * ms)
		synctest.Wait()
		if !counters.Open.Load() {
			t.Error("not open while the trial runs")
		}
		<-time.After(10 * ms)
		synctest.Wait()
		cancel()
		workers.Wait()
		if diff := cmp.Diff(want, starts); diff != "" {
			t.Errorf("starts -want +got\n%s", diff)
		}
		if counters.Open.Load() || counters.Opened.Load() != 1 {
			t.Errorf("open: %t, opened %d times; want false, once", counters.Open.Load(), counters.Opened.Load())
		}
		if strings.Count(log.String(), "\n") != 2 ||
			!strings.Contains(log.String(), "failures=5 pause=1s error=\"call: the target is down\"") ||
			!strings.Contains(log.String(), "handler goes on: paused_for=9.04s") {
			t.Errorf("want a line for its opening and one for its closing:\n%s", log)
		}
	})
}

func TestBreakerCountsFailuresInARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, counters, _ := testBreaker(jobs.Breaker{Failures: 3, Pause: time.Second, MaxPause: time.Minute})
		report := func(errs ...error) {
			for _, err := range errs {
				passed, _ := g.Pass(t.Context())
				g.Report(passed, err)
			}
		}
		report(ErrDown, ErrDown, nil, ErrDown, fmt.Errorf("wrapped: %w", jobs.RetryAfter(time.Hour, ErrDown)),
			fmt.Errorf("wrapped: %w", jobs.Discard(ErrDown)))
		report(ErrDown, ErrDown)
		if counters.Opened.Load() != 0 {
			t.Error("opened without three failures in a row")
		}
		early, _ := g.Pass(t.Context())
		report(jobs.RetryAfter(time.Hour, ErrDown))
		if !counters.Open.Load() {
			t.Error("not open after three failures in a row, of which one asks for a later attempt")
		}
		g.Report(early, nil)
		if !counters.Open.Load() {
			t.Error("closed by an attempt that began before it opened")
		}
		if _, ok := g.TryPass(); ok {
			t.Error("an attempt may begin at once while it is open")
		}
		<-time.After(time.Second)
		if _, ok := g.TryPass(); ok {
			t.Error("the trial may be one of a batch")
		}
		report(jobs.Discard(ErrDown))
		if counters.Open.Load() {
			t.Error("the target has answered, and it is still open")
		}
	})
}

func TestBreakerStopsWaitingAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _, _ := testBreaker(jobs.Breaker{Failures: 1, Pause: time.Hour, MaxPause: time.Hour})
		passed, _ := g.Pass(t.Context())
		g.Report(passed, ErrDown)
		ctx, cancel := context.WithCancel(t.Context())
		var waiting sync.WaitGroup
		for range 3 {
			waiting.Go(func() {
				if _, ok := g.Pass(ctx); ok {
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
		var counters Counts
		g := New(jobs.Rate{Events: 1, Per: time.Second},
			jobs.Breaker{Failures: 1, Pause: time.Minute, MaxPause: time.Minute},
			hclog.NewNullLogger(), &counters)
		begun := time.Now()
		passed, _ := g.Pass(t.Context())
		second := make(chan time.Duration)
		go func() {
			g.Pass(t.Context())
			second <- time.Since(begun)
		}()
		synctest.Wait()
		g.Report(passed, ErrDown)
		if after := <-second; after < time.Minute {
			t.Errorf("the second attempt began after %s, want the pause of a minute", after)
		}
	})
}
