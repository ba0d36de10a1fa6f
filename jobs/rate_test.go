package jobs

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

func TestRateSpacesStartsOverAllWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, begun := newPacer(Rate{Events: 10}), time.Now()
		var (
			mu      sync.Mutex // guards starts
			starts  []time.Duration
			workers sync.WaitGroup
		)
		for range 4 {
			workers.Go(func() {
				for range 5 {
					if !p.pass(t.Context(), nil) {
						t.Error("did not wait")
					}
					mu.Lock()
					starts = append(starts, time.Since(begun))
					mu.Unlock()
				}
			})
		}
		workers.Wait()
		for i, start := range starts {
			if want := time.Duration(i) * 100 * time.Millisecond; start != want {
				t.Errorf("start %d after %s, want %s", i, start, want)
			}
		}
		elapse(time.Minute) // nothing is saved up
		if !p.tryPass() || p.tryPass() {
			t.Error("want one start after a pause, and no second one")
		}
	})
}

// Timers are late. That neither lets more begin in any window than may, nor slows down the rest.
func TestRateOverLateTimers(t *testing.T) {
	for name, rate := range map[string]Rate{
		"a few":          {Events: 7, Per: time.Second},
		"many":           {Events: 1000, Per: time.Second},
		"more than kept": {Events: 5000, Per: 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, begun := newPacer(rate), time.Now()
				random := rand.New(rand.NewPCG(1, 2))
				var starts []time.Time
				for range 5 * rate.Events {
					slot := p.next()
					if wait := time.Until(slot); wait > 0 {
						elapse(wait + time.Duration(random.Int64N(int64(rateSlack/2))))
					}
					p.begin(slot)
					starts = append(starts, time.Now())
				}
				for i, start := range starts[rate.Events:] {
					if window := start.Sub(starts[i]); window < rate.Per {
						t.Fatalf("%d starts within %s", rate.Events+1, window)
					}
				}
				if took := time.Since(begun); took > 5*rate.Per*105/100 {
					t.Errorf("took %s for what should take %s", took, 5*rate.Per)
				}
			})
		})
	}
}

func TestRateStopsWaitingAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(Rate{Events: 1, Per: time.Hour})
		p.pass(t.Context(), nil)
		ctx, cancel := context.WithCancel(t.Context())
		stop := make(chan struct{})
		passed := make(chan bool, 4)
		for range 2 { // the first waits for its turn, and the others for that of the first
			go func() { passed <- p.pass(context.Background(), stop) }()
			synctest.Wait()
			go func() { passed <- p.pass(ctx, nil) }()
		}
		begun := time.Now()
		for _, end := range []func(){cancel, func() { close(stop) }} {
			synctest.Wait()
			end()
			for range 2 {
				if <-passed {
					t.Error("passed")
				}
			}
		}
		if took := time.Since(begun); took != 0 {
			t.Errorf("went on waiting for %s", took)
		}
	})
}

// What When does not want takes no turn, and what waits for one is not in flight.
func TestChannelHandlerHasRateAndWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var starts []time.Duration
		begun := time.Now()
		h := &channelHandler{logger: hclog.NewNullLogger(), Handler: Handler{
			Name: "h", Channel: "c", Concurrency: 1, Timeout: time.Minute, Rate: Rate{Events: 1, Per: time.Second},
			When: func(e Event) (bool, error) {
				if string(e.Payload) == "bad" {
					panic("boom")
				}
				return string(e.Payload) == "good", nil
			},
			Handle: func(context.Context, Event) error {
				starts = append(starts, time.Since(begun))
				return nil
			},
		}}
		messages, stop, ended := make(chan string, 10), make(chan struct{}), make(chan error)
		for _, payload := range []string{"good", "other", "bad", "good", "other", "good", "good"} {
			messages <- payload
		}
		go func() { ended <- h.run(t.Context(), stop, Subscription{Messages: messages, Close: func() {}}) }()
		elapse(2500 * time.Millisecond)
		synctest.Wait()
		if n := h.counters.inFlight.Load(); n != 0 {
			t.Errorf("%d in flight while the last one waits for its turn", n)
		}
		close(stop)
		if err := <-ended; err != nil || time.Since(begun) != 2500*time.Millisecond {
			t.Errorf("ended with %v after %s", err, time.Since(begun))
		}
		if diff := cmp.Diff([]time.Duration{0, time.Second, 2 * time.Second}, starts); diff != "" {
			t.Errorf("starts -want +got\n%s", diff)
		}
		stats := h.counters.stats("h")
		if got, want := []int64{stats.Handled, stats.Failed, h.counters.filtered.Load()}, []int64{3, 1, 2}; !slices.Equal(got, want) {
			t.Errorf("handled, failed, filtered: %v, want %v", got, want)
		}
	})
}

func TestRateOfAHandler(t *testing.T) {
	pool := setup(t)
	handler, events := recorder("h", "t")
	handler.Concurrency, handler.Rate = 3, Rate{Events: 1, Per: time.Hour}
	l := lead(t, pool, 1, handler)
	for range 5 {
		emit(t, pool, "t", `1`)
	}
	pgtest.Within(t, "the first event", events)
	pgtest.Eventually(t, "the first one to be written while the others wait", func() bool {
		return pgtest.Value[string](t, pool, `select done::text from pgsolo.cursor`) == "{[1,2)}"
	})
	if n := l.runner.consumers[0].counters.inFlight.Load(); n != 0 {
		t.Errorf("%d in flight, want 0", n)
	}
	l.quit()
	if len(events) != 0 {
		t.Error("more than one event in an hour")
	}
}
