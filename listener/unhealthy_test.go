package listener

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// Unhealthy is called once, whatever it does: it may block for ever, and it may wait for Run to return.
func TestUnhealthyNeverHoldsRunUp(t *testing.T) {
	for name, wait := range map[string]func(release, returned <-chan struct{}){
		"it blocks":             func(release, _ <-chan struct{}) { <-release },
		"it waits for Run":      func(_, returned <-chan struct{}) { <-returned },
		"it returns":            func(_, _ <-chan struct{}) {},
		"it subscribes and all": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			newGate(b).shut()
			b.options.Patience = 2 * time.Second // in which a busy machine makes an attempt
			var calls atomic.Int64
			var l *Listener
			release, returned, finished := make(chan struct{}), make(chan struct{}), make(chan struct{})
			b.options.Unhealthy = func(err error) {
				defer close(finished) // panics when called twice
				calls.Add(1)
				if !errors.Is(err, errGone) {
					t.Errorf("unhealthy: %v", err)
				}
				if wait == nil {
					if s, err := l.Subscribe("c"); err == nil {
						s.Close()
					}
					l.Rename()
					l.Stats()
					return
				}
				wait(release, returned)
			}
			l = b.wanted()
			go func() {
				defer close(returned)
				if err := l.Run(context.Background()); !errors.Is(err, errGone) {
					t.Errorf("Run returned %v", err)
				}
			}()
			pgtest.Within(t, "Run returns", returned)
			if n := calls.Load(); n != 1 {
				t.Errorf("it was called %d times", n)
			}
			close(release)
			pgtest.Within(t, "the callback's end", finished)
		})
	}
}

// A session without subscriptions is not given up. Patience begins with the first subscription, and ends Run from then
// on.
func TestPatienceBeginsWithASubscription(t *testing.T) {
	t.Parallel()
	b := setup(t)
	gate := newGate(b)
	gate.shut()
	var calls atomic.Int64
	b.options.Unhealthy = func(error) { calls.Add(1) }
	b.options.Patience = time.Second // in which there are six attempts at most
	l := b.listener()
	ended, _ := b.run(l)
	pgtest.Eventually(t, "attempts beyond its patience", func() bool { return gate.refused.Load() >= 8 })
	if calls.Load() != 0 {
		t.Error("it is unhealthy while nobody subscribes")
	}
	if n := b.log.count("[WARN]"); n != 0 {
		t.Errorf("it warns while nobody subscribes:\n%s", b.log)
	}
	b.subscribe(l, "c")
	if err := pgtest.Within(t, "the end", ended); !errors.Is(err, errGone) || calls.Load() != 1 {
		t.Errorf("Run returned %v, after %d calls", err, calls.Load())
	}
}

// What ends Run once there is a subscription is logged while there is none: once, and once more when it happens again.
func TestPermanentRefusalIsLoggedWithoutSubscriptions(t *testing.T) {
	t.Parallel()
	const announced = "whoever subscribes will find out"
	b := setup(t)
	dial := b.options.Config.DialFunc
	refusePassword(t, b.options.Config)
	refuse := b.options.Config.DialFunc
	var refused atomic.Int64
	var open atomic.Bool
	b.options.Config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if open.Load() {
			return dial(ctx, network, address)
		}
		refused.Add(1)
		return refuse(ctx, network, address)
	}
	b.options.Unhealthy = func(err error) { t.Errorf("unhealthy: %v", err) }
	l := b.listener()
	ended, stop := b.run(l)
	pgtest.Eventually(t, "several attempts", func() bool { return refused.Load() >= 3 })
	if b.log.count(announced) != 1 || b.log.count("28P01") != 1 {
		t.Errorf("the log is:\n%s", b.log)
	}
	open.Store(true)
	pgtest.Eventually(t, "a session", func() bool { return l.Stats().Connected })
	open.Store(false)
	b.terminate()
	pgtest.Eventually(t, "another line", func() bool { return b.log.count(announced) == 2 })
	stop()
	if err := pgtest.Within(t, "the end", ended); err != nil {
		t.Errorf("Run returned %v", err)
	}
}

// Each outage has the whole of Patience, however many there were before; all attempts of one share its end.
func TestPatienceStartsAnewWithEachOutage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.options.Patience = connectTimeout - time.Second // so that the deadline of an attempt is that of the outage
	b.options.Unhealthy = func(err error) { t.Errorf("unhealthy: %v", err) }
	b.options.Config.TLSConfig, b.options.Config.Fallbacks = nil, nil
	const attempts = 3 // of each outage; the last is let through
	deadlines := make(chan time.Time, 100)
	dial := b.options.Config.DialFunc
	n := 0 // Run's goroutine counts
	b.options.Config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		deadline, _ := ctx.Deadline()
		deadlines <- deadline
		if n++; n%attempts != 0 {
			return nil, errGone
		}
		return dial(ctx, network, address)
	}
	l := b.listener()
	b.run(l)
	s := b.established(l, "c")
	var last time.Time
	for outage := range 5 {
		if outage > 0 {
			b.terminate()
			pgtest.Within(t, "missed", s.Missed())
		}
		first := <-deadlines
		if !first.After(last) || time.Until(first) > b.options.Patience {
			t.Errorf("outage %d ends at %s, the one before at %s", outage, first, last)
		}
		for range attempts - 1 {
			if next := <-deadlines; !next.Equal(first) {
				t.Errorf("the attempts of one outage end at %s and %s", first, next)
			}
		}
		last = first
	}
}

// The pauses between attempts double up to their limit, and begin anew after a session was made.
func TestBackoff(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var attempts []time.Time // by Run's goroutine, which is awaited
	dial := b.options.Config.DialFunc
	b.options.Config.TLSConfig, b.options.Config.Fallbacks = nil, nil
	b.options.Patience = 3 * time.Second
	refuse := false
	b.options.Config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if refuse {
			attempts = append(attempts, time.Now())
			return nil, errGone
		}
		refuse = true
		return dial(ctx, network, address)
	}
	l := b.listener()
	ended, _ := b.run(l)
	b.established(l, "c")
	b.terminate()
	if err := pgtest.Within(t, "the end", ended); !errors.Is(err, errGone) {
		t.Errorf("Run returned %v", err)
	}
	for i, delay := 1, firstDelay; i < len(attempts); i, delay = i+1, 2*delay {
		if pause := attempts[i].Sub(attempts[i-1]); pause < delay/2 {
			t.Errorf("pause %d is %s, want at least %s", i, pause, delay/2)
		}
	}
	if n := len(attempts); n < 3 || n > 8 { // at 25 to 50 ms, 50 to 100, 100 to 200, 200 to 400, …
		t.Errorf("%d attempts in %s", n, b.options.Patience)
	}
}
