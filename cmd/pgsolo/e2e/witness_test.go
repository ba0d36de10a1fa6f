package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/fleet"
)

// witness is what handlers and cron jobs call. It fails the test when a term works after a later one has begun, or when
// the idempotency key of a tick is not what it should be.
type witness struct {
	*fleet.Witness
	t *testing.T
}

// startWitness answers calls until the test ends. The answer is the status; it may wait as long as the request's
// context lasts. Default: 200 at once.
func startWitness(t *testing.T, answer func(*http.Request, fleet.Call) int) *witness {
	t.Helper()
	w, err := fleet.NewWitness(fleet.WitnessOptions{
		Answer:  answer,
		Problem: func(err error) { t.Error(err) },
		Arrived: func(c fleet.Call) {
			if want := c.Name + "/" + inUTC(c.ScheduledAt); c.Event == 0 && c.Key != want {
				t.Errorf("idempotency key %q, want %q", c.Key, want)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return &witness{w, t}
}

// events is how many of them have arrived.
func (w *witness) events() (n int) {
	w.Read(func(seen fleet.Tally) { n = len(seen.Events) })
	return n
}

// attempts is how many starts of ticks have arrived, each counted once.
func (w *witness) attempts() (n int) {
	w.Read(func(seen fleet.Tally) { n = len(seen.Attempts) })
	return n
}

// started returns the terms in which an attempt was started, and whether it was told that its tick is made up for.
func (w *witness) started(a fleet.Attempt) (s fleet.Started) {
	w.Read(func(seen fleet.Tally) { s = seen.Attempts[a] })
	return s
}

func inUTC(at time.Time) string { return at.UTC().Format(time.RFC3339Nano) }

// gate holds requests until it is opened.
type gate struct {
	waiting chan fleet.Call
	open    chan struct{}
}

func newGate() *gate { return &gate{make(chan fleet.Call, 100), make(chan struct{})} }

func (g *gate) pass(r *http.Request, c fleet.Call) {
	g.waiting <- c
	select {
	case <-g.open:
	case <-r.Context().Done(): // the client is gone
	}
}
