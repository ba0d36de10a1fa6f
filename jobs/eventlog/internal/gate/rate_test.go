package gate

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgsolo/pgsolo/jobs"
)

func TestRateSpacesStartsOverAllWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, begun := newPacer(jobs.Rate{Events: 10}), time.Now()
		var (
			mu      sync.Mutex // guards starts
			starts  []time.Duration
			workers sync.WaitGroup
		)
		for range 4 {
			workers.Go(func() {
				for range 5 {
					if !p.pass(t.Context()) {
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
		<-time.After(time.Minute) // nothing is saved up
		if !p.tryPass() || p.tryPass() {
			t.Error("want one start after a pause, and no second one")
		}
	})
}

// Timers are late. That neither lets more begin in any window than may, nor slows down the rest.
func TestRateOverLateTimers(t *testing.T) {
	for name, rate := range map[string]jobs.Rate{
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
						<-time.After(wait + time.Duration(random.Int64N(int64(rateSlack/2))))
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
		p := newPacer(jobs.Rate{Events: 1, Per: time.Hour})
		p.pass(t.Context())
		ctx, cancel := context.WithCancel(t.Context())
		other, stop := context.WithCancel(t.Context())
		passed := make(chan bool, 4)
		for range 2 { // the first waits for its turn, and the others for that of the first
			go func() { passed <- p.pass(other) }()
			synctest.Wait()
			go func() { passed <- p.pass(ctx) }()
		}
		begun := time.Now()
		for _, end := range []func(){cancel, stop} {
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
