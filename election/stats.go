package election

import (
	"errors"
	"maps"
	"sync"
	"time"
)

// Stats are counters since New, for metrics.
type Stats struct {
	PingRoundTrip time.Duration // of the latest ping; 0 before the first

	// Takeovers are by how the term before ended: "session lost", "lease expired", "fenced", or "resigned" for any
	// planned end.
	Takeovers map[string]Takeover

	// Lost are leaderships, by cause: "silence", "no progress", "session", "lock", "term", "tables".
	Lost map[string]int64
}

// Takeover counts the takeovers of one kind.
type Takeover struct {
	Count int64
	Total time.Duration // from the last sign of life of the leader before to the next term, where that is known
}

// counters are the Stats that the loop writes and other goroutines read.
type counters struct {
	mu    sync.Mutex // guards stats
	stats Stats
}

// Stats may be called at any time.
func (e *Elector) Stats() Stats {
	e.counters.mu.Lock()
	defer e.counters.mu.Unlock()
	stats := e.counters.stats
	stats.Takeovers, stats.Lost = maps.Clone(stats.Takeovers), maps.Clone(stats.Lost)
	return stats
}

func (c *counters) pinged(roundTrip time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats.PingRoundTrip = roundTrip
}

func (c *counters) tookOver(ended string, silence time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stats.Takeovers == nil {
		c.stats.Takeovers = map[string]Takeover{}
	}
	t := c.stats.Takeovers[ended]
	c.stats.Takeovers[ended] = Takeover{t.Count + 1, t.Total + silence}
}

func (c *counters) lost(reason error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stats.Lost == nil {
		c.stats.Lost = map[string]int64{}
	}
	c.stats.Lost[causeOf(reason)]++
}

// causeOf is the label of a reason.
func causeOf(reason error) string {
	for err, label := range map[error]string{
		errSilence: "silence", errUnhealthy: "no progress", errSession: "session", errNoLock: "lock",
		errNewTerm: "term",
	} {
		if errors.Is(reason, err) {
			return label
		}
	}
	if ofTables(reason) {
		return "tables"
	}
	return "other"
}
