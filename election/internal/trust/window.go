package trust

import (
	"sync/atomic"
	"time"
)

// Window is until when a leader may rely on its leadership: until part of the lease has passed since the sending of
// the last ping that was answered. Its end is final.
//
// Any goroutine may ask it; one extends it. What they decide is one word, last, which changes by compare-and-swap
// alone: a caller that finds the window closed closes it for good before it says so, and an extension that comes at the
// same time fails. So no caller sees false before another, or the same, sees true.
type Window struct {
	clock     Clock
	lasts     time.Duration
	tolerance time.Duration // by which the clocks may differ
	ask       func()        // has a ping sent at once; must not block

	last atomic.Pointer[proof]

	// agreed is the time of the monotonic clock until which the three are not compared again.
	agreed atomic.Int64
}

// proof is a ping that was answered, and whether it was the last one of the window.
type proof struct {
	sent     Moment
	over     bool
	replaced chan struct{} // closed by what replaces it
}

// AgreedFor is how long an agreement of the clocks is believed. It is time in which the machine ran: a process that was
// suspended within it may begin something for that long when it wakes.
const AgreedFor = 100 * time.Microsecond

// NewWindow opens a window at the sending of a ping that was answered. It lasts for lasts. ask has another ping sent at
// once, and must not block.
func NewWindow(c Clock, sent Moment, lasts, tolerance time.Duration, ask func()) *Window {
	w := &Window{clock: c, lasts: lasts, tolerance: tolerance, ask: ask}
	w.last.Store(&proof{sent: sent, replaced: make(chan struct{})})
	return w
}

// Open says whether the leadership can be relied on. Where the clocks disagree, the machine may have been suspended, or
// a clock was only set: it waits for the answer to a ping that is sent afterwards, or for the end of the window.
func (w *Window) Open() bool {
	for {
		p := w.last.Load()
		if p.over {
			return false
		}
		if mono := w.clock.Mono(); mono < time.Duration(w.agreed.Load()) && mono-p.sent.Mono < w.lasts {
			return true
		}
		now := w.clock.Now()
		left := w.lasts - p.sent.Elapsed(now)
		switch {
		case left <= 0:
			w.replace(p, &proof{sent: p.sent, over: true})
			w.ask() // the heartbeat finds that it is over, if no timer has
			continue
		case p.sent.agrees(now, w.tolerance):
			w.agreed.Store(int64(now.Mono + AgreedFor))
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

// Extend moves the end, and says whether it had not been reached. One goroutine calls it.
func (w *Window) Extend(sent Moment) bool {
	for {
		p := w.last.Load()
		switch {
		case p.over:
			return false
		case p.sent.Elapsed(w.clock.Now()) >= w.lasts:
			w.End()
			return false
		case w.replace(p, &proof{sent: sent, replaced: make(chan struct{})}):
			return true
		}
	}
}

// End closes the window.
func (w *Window) End() {
	for {
		if p := w.last.Load(); p.over || w.replace(p, &proof{sent: p.sent, over: true}) {
			return
		}
	}
}

// Proved is when the last ping that was answered was sent, and whether the clocks have disagreed since.
func (w *Window) Proved() (sent Moment, suspicious bool) {
	sent = w.last.Load().sent
	return sent, !sent.agrees(w.clock.Now(), w.tolerance)
}

// replace lets those that wait for the end of p look at what is there instead, unless p is not there any more.
func (w *Window) replace(p, by *proof) bool {
	if !w.last.CompareAndSwap(p, by) {
		return false
	}
	close(p.replaced)
	return true
}
