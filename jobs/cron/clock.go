package cron

import (
	"slices"
	"time"
)

const (
	// How many steps of the clock are remembered.
	keptPeriods = 16

	// A longer step forth is not taken for time that has passed: where that was a mistake and is undone, the time that was left out is
	// still to come.
	longStep = 10 * time.Minute
)

// period is a time during which the clock went forward.
type period struct{ from, to time.Time }

// follow takes in what the clock shows. What it has shown before it was set back, comes again: the ticks of that time have been
// decided on, whether or not the history still has their rows.
func (t *term) follow(now time.Time) {
	last := len(t.lived) - 1
	switch {
	case last < 0:
		t.lived = []period{{t.looked, t.looked}}
	case !now.Before(t.lived[last].to) && now.Sub(t.lived[last].to) <= longStep: // look says when it has been lived through
	default: // it was set, back or forth: what it left out was not lived through
		t.lived = append(t.lived, period{now, now})
		t.lived = t.lived[max(0, len(t.lived)-keptPeriods):]
	}
	if now.Before(t.looked) {
		t.setBack(now)
	}
}

// setBack has everything wait as long as it would have without the step.
func (t *term) setBack(now time.Time) {
	by := t.looked.Sub(now)
	if by >= time.Second {
		t.logger.Info("the clock was set back", "by", by)
	}
	for _, j := range t.jobs {
		if j.last.After(now) {
			j.last = now
			j.next = j.schedules.Next(now)
		}
		for _, r := range slices.Concat(j.settling, j.retrying, j.queue) {
			if !r.nextAt.IsZero() {
				r.nextAt = r.nextAt.Add(-by)
			}
		}
		if !j.wake.IsZero() { // or else it is to be looked at anyway
			j.wake = j.nextWake()
		}
	}
	t.heap.init(t.jobs)
	t.looked = now
}

// cameBefore says whether the tick came due before the clock was set back.
func (t *term) cameBefore(j *jobTerm, at time.Time) bool {
	if t.open[runKey{j.Name, at.UnixMicro()}] != nil {
		return true
	}
	due := at.Add(j.delay)
	for _, s := range t.lived[:max(0, len(t.lived)-1)] {
		if due.After(s.from) && !due.After(s.to) {
			return true
		}
	}
	return false
}
