package demo

import (
	"slices"
	"time"
)

// snapshot is what the screen shows.
type snapshot struct {
	leader     leader
	replicas   []int // pids; 0 while away
	inserted   int
	missing    int // of them, not handled yet
	lost       int // of these, inserted longer ago than any takeover takes
	missed     int // ticks, likewise
	counts     counts
	takeovers  []takeover
	leaderless bool
}

// lostAfter is how long after an event or a tick its absence counts: a lease, after which even a frozen leader is
// replaced.
const lostAfter = 5 * time.Second

func (d *demo) snapshot() snapshot {
	d.mu.Lock()
	s := snapshot{
		leader: d.leader, takeovers: slices.Clone(d.takeovers), leaderless: !d.killedAt.IsZero() || d.leader.term == 0,
	}
	inserted, cutOff := d.inserted, d.cutOff
	d.mu.Unlock()
	for _, m := range d.members {
		s.replicas = append(s.replicas, m.pid())
	}
	old := max(0, len(inserted)-int(lostAfter/insertEvery))
	s.inserted, s.missing, s.lost = len(inserted), d.missing(inserted), d.missing(inserted[:old])
	s.counts = d.counts()
	s.missed = d.missedTicks(cutOff, time.Now().Add(-lostAfter))
	return s
}
