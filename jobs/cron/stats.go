package cron

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/cron/internal/rows"
	"github.com/pgsolo/pgsolo/jobs/internal/loop"
	"github.com/pgsolo/pgsolo/jobs/internal/measure"
)

// Stats are the counters of one cron job since New, for metrics. A replica counts only what it did as the leader.
type Stats struct {
	Name    string
	Started int64 // attempts, retries included
	Retried int64 // attempts that were not the first at their tick

	// How ticks and manual runs ended.
	Succeeded   int64
	Failed      int64 // after their last attempt: with an error, a panic, or because it took too long
	Skipped     int64 // not started because of another run, or waited too long for their turn
	Missed      int64 // found too late to be started; of several that were, the latest
	Replaced    int64 // cut off by a later tick
	Interrupted int64 // cut off because the leader had to stop, or found unfinished after an earlier leader

	LastSuccess time.Time // when the latest run that succeeded ended, under earlier leaders too; zero if none has

	// Next is when the next tick will start; zero while this replica does not lead, and while the job is paused or not
	// enabled.
	Next time.Time

	Running int64 // attempts under way
	Waiting int64 // runs that wait for their turn or for a retry
	Paused  bool

	// HeldBy is the election that has a job of this name, and is led: this one waits until that has gone, or has it no
	// more. Empty: none.
	HeldBy string

	Lateness jobs.Histogram // of the starts of ticks that were not missed: how long after they were due, in seconds
}

// counters are kept by the goroutine of the term, and read by any.
type counters struct {
	mu       sync.Mutex // guards counts
	counts   Stats
	lateness measure.Histogram
	ended    atomic.Int64 // runs, since the history was pruned
	failures loop.Episode // in the log
}

func (c *counters) count(change func(*Stats)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.counts)
}

// stats returns the counters. It may be called at any time.
func (j *job) stats() Stats {
	j.mu.Lock()
	defer j.mu.Unlock()
	stats := j.counts
	stats.Name, stats.Lateness = j.Name, j.lateness.Seconds()
	return stats
}

func (s *Stats) conclude(outcome string) {
	switch outcome {
	case rows.OK:
		s.Succeeded++
	case rows.Failed:
		s.Failed++
	case rows.Skipped:
		s.Skipped++
	case rows.Missed:
		s.Missed++
	case rows.Replaced:
		s.Replaced++
	case rows.Interrupted:
		s.Interrupted++
	}
}
