package eventlog

import (
	"sync/atomic"

	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/gate"
	"github.com/pgsolo/pgsolo/jobs/internal/loop"
	"github.com/pgsolo/pgsolo/jobs/internal/measure"
)

// counters count what became of the events of one handler, and measure its work.
type counters struct {
	read, handled, failed, dead, inFlight atomic.Int64

	retried  atomic.Int64      // attempts after an event's first
	filtered atomic.Int64      // events that When did not want
	duration measure.Histogram // of attempts; see measure.DurationBounds
	batches  measure.Histogram // events that one transaction brought to success; see measure.BatchBounds

	gate gate.Counts
}

func (c *counters) stats(name string) HandlerStats {
	return HandlerStats{
		Name: name, Handled: c.handled.Load(), Failed: c.failed.Load(), Retried: c.retried.Load(), Dead: c.dead.Load(),
		Filtered: c.filtered.Load(), InFlight: c.inFlight.Load(),
		Durations: c.duration.Seconds(), Batches: c.batches.Sizes(),
		Paused: c.gate.Open.Load(), Pauses: c.gate.Opened.Load(),
	}
}

// episodes are those of one handler.
type episodes struct {
	failed, dead, panicked, missed, begin loop.Episode
}
