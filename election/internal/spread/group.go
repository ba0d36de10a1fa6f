// Package spread has the leaderships of several elections spread over the replicas.
package spread

import (
	"sync"
	"time"
)

// YieldTime is how long an elector of a process that already leads another election stays out of a lock's queue before
// each try, so that a replica that leads nothing, and waits in the queue, comes first.
const YieldTime = 250 * time.Millisecond

// Group ties the electors of one process together, one for each of several elections, so that the leaderships spread
// over the replicas. The zero value is ready.
type Group struct {
	mu   sync.Mutex // guards held
	held int        // leaderships of this process
}

// Leads says whether the process leads already.
func (g *Group) Leads() bool {
	if g == nil {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.held > 0
}

// Acquire counts a leadership. It refuses a second one that was not yielded for: it came while both electors queued.
func (g *Group) Acquire(yielded bool) bool {
	if g == nil {
		return true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held > 0 && !yielded {
		return false
	}
	g.held++
	return true
}

// Release ends what Acquire counted.
func (g *Group) Release() {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held--
}
