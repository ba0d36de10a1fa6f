package election

import (
	"sync/atomic"
	"time"
)

// Term names one leadership. A later one has the greater number, unless a replica was promoted and issued it again: then the
// timeline is greater.
type Term struct {
	Timeline int32
	Number   int64

	// Session is the application_name that every other session of the leader has to bear. The successor of a leader that did not
	// resign waits for the end of these sessions, and ends them if need be.
	// A process that goes on after lead has returned, as after a StepDown, has to close or rename them before.
	Session string

	// Stopping is closed when the leader should hand over: it begins nothing new, finishes what runs, and returns. Its context
	// is cancelled Options.Drain later.
	Stopping <-chan struct{}

	proof *proof
}

// Held is false once 0.6 of the lease has passed since the last ping that was answered was sent. It looks at the clock only, so
// that it tells even before a process that was stopped, and goes on, has had the time to cancel a context: ask it right before
// an effect that nothing else fences.
func (t Term) Held() bool { return t.proof == nil || t.proof.valid() }

// proof is until when a leader may think that it leads, on the monotonic clock.
type proof struct {
	base  time.Time    // has a monotonic reading, which until counts from
	until atomic.Int64 // nanoseconds
}

func newProof() *proof { return &proof{base: time.Now()} }

func (p *proof) extend(until time.Time) { p.until.Store(int64(until.Sub(p.base))) }

func (p *proof) end() { p.until.Store(0) }

func (p *proof) valid() bool { return int64(time.Since(p.base)) < p.until.Load() }
