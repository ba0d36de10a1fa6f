// Package counts is what a handler counts and measures, over all leaderships, and what it has logged of late.
package counts

import (
	"sync/atomic"

	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/gate"
	"github.com/pgsolo/pgsolo/jobs/internal/loop"
	"github.com/pgsolo/pgsolo/jobs/internal/measure"
)

// Counts count what became of the events of one handler, and measure its work.
type Counts struct {
	Read, Handled, Failed, Dead, InFlight atomic.Int64

	Retried  atomic.Int64      // attempts after an event's first
	Filtered atomic.Int64      // events that When did not want
	Duration measure.Histogram // of attempts; see measure.DurationBounds
	Batches  measure.Histogram // events that one transaction brought to success; see measure.BatchBounds

	Gate gate.Counts
}

// Episodes are those of one handler.
type Episodes struct {
	Failed, Dead, Panicked, Missed, Begin loop.Episode
}
