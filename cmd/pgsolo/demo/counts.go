package demo

import (
	"slices"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/fleet"
)

// counts are what the witness has seen.
type counts struct {
	handled, repeated int // events, and arrivals beyond the first
	ticks, doubled    int // ticks that arrived, and those that arrived more than once
	overlaps          int
}

func (d *demo) counts() (c counts) {
	d.witness.Read(func(seen fleet.Tally) {
		c.handled, c.overlaps = len(seen.Events), seen.Overlaps
		for _, n := range seen.Events {
			c.repeated += n - 1
		}
		for _, n := range seen.Starts() {
			c.ticks++
			if n > 1 {
				c.doubled++
			}
		}
	})
	return c
}

// missing counts the events that have not arrived.
func (d *demo) missing(ids []int64) (missing int) {
	d.witness.Read(func(seen fleet.Tally) {
		for _, id := range ids {
			if seen.Events[id] == 0 {
				missing++
			}
		}
	})
	return missing
}

// firstEvent returns when a term's first event arrived, and the zero time before that.
func (d *demo) firstEvent(term int64) (at time.Time) {
	d.witness.Read(func(seen fleet.Tally) { at = seen.FirstOf[term] })
	return at
}

// missedTicks counts the seconds, from the first tick that arrived up to a moment, whose tick did not, apart from those
// that a kill cut off: they were started, and are not started again.
func (d *demo) missedTicks(cutOff []time.Time, until time.Time) int {
	var starts map[time.Time]int
	d.witness.Read(func(seen fleet.Tally) { starts = seen.Starts() })
	return missedSeconds(starts, cutOff, until)
}

func missedSeconds(starts map[time.Time]int, cutOff []time.Time, until time.Time) (missed int) {
	var first, last time.Time
	for at := range starts {
		if first.IsZero() || at.Before(first) {
			first = at
		}
		if at.After(last) {
			last = at
		}
	}
	if last.Before(until) {
		until = last // the demo may have ended before the next one
	}
	if first.IsZero() {
		return 0
	}
	for at := first; !at.After(until); at = at.Add(time.Second) {
		if starts[at] == 0 && !slices.ContainsFunc(cutOff, at.Equal) {
			missed++
		}
	}
	return missed
}
