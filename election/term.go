package election

import (
	"sync/atomic"
	"time"
)

// Term names one leadership. A later one has the greater number, unless a replica of PostgreSQL was promoted and issued
// the number again: then the timeline is greater.
type Term struct {
	Election string // its name
	Holder   string // Options.Holder of the leader
	Timeline int32  // of the write-ahead log
	Number   int64

	// Session is the application_name that every other session of the leader has to bear. The successor of a leader
	// that did not resign waits for the end of these sessions, and ends them if need be. A process that goes on after
	// lead has returned, as after a StepDown, has to close or rename them before.
	Session string

	// Stopping is closed when the leader should hand over: it begins nothing new, finishes what runs, and returns. Its
	// context is cancelled Options.Drain later.
	Stopping <-chan struct{}

	// Over is closed when another leader may be let in at any moment: at once where the session has ended or holds the
	// lock no more, after 0.85 of the lease where no ping is answered. The context ends with it or before. What still runs
	// then has to be killed, whatever grace it was given.
	Over <-chan struct{}

	// Held is false once 0.6 of the lease has passed since the last ping that was answered was sent. It reads the clock
	// only, so that its answer is right even before a process that was stopped, and goes on, has had the time to cancel
	// a context: ask it right before an effect that nothing else fences. Nil is always true. Run sets it.
	Held func() bool
}

// trustWindow is until when a leader may rely on its leadership, on the monotonic clock.
type trustWindow struct {
	base  time.Time    // has a monotonic reading, from which until counts
	until atomic.Int64 // nanoseconds
}

func newTrustWindow() *trustWindow { return &trustWindow{base: time.Now()} }

func (w *trustWindow) extend(until time.Time) { w.until.Store(int64(until.Sub(w.base))) }

func (w *trustWindow) end() { w.until.Store(0) }

func (w *trustWindow) open() bool { return int64(time.Since(w.base)) < w.until.Load() }
