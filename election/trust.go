package election

import (
	"sync/atomic"
	"time"
)

// trustWindow is until when a leader may rely on its leadership: until part of the lease has passed since the sending of
// the last ping that was answered. Its end is final.
//
// Any goroutine may ask it; one extends it. What they decide is one word, last, which changes by compare-and-swap alone:
// a caller that finds the window closed closes it for good before it says so, and an extension that comes at the same
// time fails. So no caller sees false before another, or the same, sees true.
type trustWindow struct {
	clock     clock
	lasts     time.Duration
	tolerance time.Duration // by which the clocks may differ
	ask       func()        // has a ping sent at once; must not block

	last atomic.Pointer[proof]

	// agreed is the time of the monotonic clock until which the three are not compared again.
	agreed atomic.Int64
}

// proof is a ping that was answered, and whether it was the last one of the window.
type proof struct {
	sent     moment
	over     bool
	replaced chan struct{} // closed by what replaces it
}

// agreedFor is how long an agreement of the clocks is believed. It is time in which the machine ran: a process that was
// suspended within it may begin something for that long when it wakes.
const agreedFor = 100 * time.Microsecond

func newTrustWindow(c clock, sent moment, lasts, tolerance time.Duration, ask func()) *trustWindow {
	w := &trustWindow{clock: c, lasts: lasts, tolerance: tolerance, ask: ask}
	w.last.Store(&proof{sent: sent, replaced: make(chan struct{})})
	return w
}

// open says whether the leadership can be relied on. Where the clocks disagree, the machine may have been suspended, or
// a clock was only set: it waits for the answer to a ping that is sent afterwards, or for the end of the window.
func (w *trustWindow) open() bool {
	for {
		p := w.last.Load()
		if p.over {
			return false
		}
		if mono := w.clock.mono(); mono < time.Duration(w.agreed.Load()) && mono-p.sent.mono < w.lasts {
			return true
		}
		now := w.clock.now()
		left := w.lasts - p.sent.elapsed(now)
		switch {
		case left <= 0:
			w.replace(p, &proof{sent: p.sent, over: true})
			w.ask() // the heartbeat finds that it is over, if no timer has
			continue
		case p.sent.agrees(now, w.tolerance):
			w.agreed.Store(int64(now.mono + agreedFor))
			return true
		}
		w.ask()
		timer := time.NewTimer(left)
		select {
		case <-p.replaced:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// extend moves the end, and says whether it had not been reached. One goroutine calls it.
func (w *trustWindow) extend(sent moment) bool {
	for {
		p := w.last.Load()
		switch {
		case p.over:
			return false
		case p.sent.elapsed(w.clock.now()) >= w.lasts:
			w.end()
			return false
		case w.replace(p, &proof{sent: sent, replaced: make(chan struct{})}):
			return true
		}
	}
}

// end closes the window.
func (w *trustWindow) end() {
	for {
		if p := w.last.Load(); p.over || w.replace(p, &proof{sent: p.sent, over: true}) {
			return
		}
	}
}

// proved is when the last ping that was answered was sent, and whether the clocks have disagreed since.
func (w *trustWindow) proved() (sent moment, suspicious bool) {
	sent = w.last.Load().sent
	return sent, !sent.agrees(w.clock.now(), w.tolerance)
}

// replace lets those that wait for the end of p look at what is there instead, unless p is not there any more.
func (w *trustWindow) replace(p, by *proof) bool {
	if !w.last.CompareAndSwap(p, by) {
		return false
	}
	close(p.replaced)
	return true
}
