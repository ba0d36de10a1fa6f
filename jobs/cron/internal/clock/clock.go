// Package clock keeps what a leader of cron jobs has seen of the clock that the schedules follow. It does no input or
// output.
package clock

import (
	"time"

	"github.com/pgsolo/pgsolo/jobs/cron/internal/rows"
)

const (
	// How many steps of the clock are remembered.
	keptPeriods = 16

	// LongStep: a longer step forth is not taken for time that has passed. Where that was a mistake and is undone, the
	// time that was left out is still to come.
	LongStep = rows.LongStep

	// MissedAfter is how late a tick may be found, beyond the time for which nothing was scanned, before it counts as
	// missed. Timers and a takeover after a visible death stay well below it.
	MissedAfter = time.Second

	// Tolerance is how far the clock may be ahead of the database's before ticks that have passed by this one alone
	// count as still to come. It is well above what an outage of a few seconds may leave to be made up for.
	Tolerance = 10 * time.Second
)

// Clock is what a term keeps of the clock that the schedules follow: up to when it was scanned, and what it has shown
// before it was set back. It belongs to the goroutine of the term.
type Clock struct {
	Now func() time.Time // what it shows

	scannedTo time.Time // what it showed at the latest scan that came to its end
	scannedAt time.Time // that moment, by the monotonic clock
	doubtful  bool      // to be compared with the database's, whatever it shows
	periods   []period  // what it has shown before it was set back, with what it shows since as the last one
}

// period is a time during which the clock went forward.
type period struct{ from, to time.Time }

// New starts with nothing scanned. The process was last at it now.
func New(now func() time.Time) *Clock { return &Clock{Now: now, scannedAt: time.Now()} }

// Claimed begins at what the clock showed when the term was claimed.
func (c *Clock) Claimed(now time.Time) { c.scannedTo = now }

// Follow takes in what the clock shows, and returns by how much it was set back. What it has shown before that, comes
// again: the ticks of that time have been decided on, whether or not the history still has their rows.
func (c *Clock) Follow(now time.Time) (back time.Duration) {
	last := len(c.periods) - 1
	switch {
	case last < 0:
		c.periods = []period{{c.scannedTo, c.scannedTo}}
	case !now.Before(c.periods[last].to) && now.Sub(c.periods[last].to) <= LongStep: // Scanned says when it has passed
	default: // it was set, back or forth: what it left out has not passed
		c.periods = append(c.periods, period{now, now})
		c.periods = c.periods[max(0, len(c.periods)-keptPeriods):]
	}
	if !now.Before(c.scannedTo) {
		return 0
	}
	back = c.scannedTo.Sub(now)
	c.scannedTo = now
	return back
}

// Lateness is how late a tick may be found at this moment, by the monotonic clock, and still be on time: more where
// nothing was scanned, because the database was slow or this process was frozen.
func (c *Clock) Lateness(at time.Time) time.Duration { return MissedAfter + at.Sub(c.scannedAt) }

// Scanned notes that everything due up to now was found. at is the same moment, by the monotonic clock.
func (c *Clock) Scanned(now, at time.Time) {
	c.scannedTo, c.scannedAt = now, at
	c.periods[len(c.periods)-1].to = now
}

// CameBefore says whether that time has passed before the clock was set back.
func (c *Clock) CameBefore(due time.Time) bool {
	for _, p := range c.periods[:max(0, len(c.periods)-1)] {
		if due.After(p.from) && !due.After(p.to) {
			return true
		}
	}
	return false
}

// Doubt has the clock compared before the next scan.
func (c *Clock) Doubt() { c.doubtful = true }

// IsDoubtful says whether the clock is to be compared with the database's: it has gone further than the monotonic one
// since the latest scan. Either it was set, or the machine was suspended, and time has passed. now and at are the same
// moment, by this clock and by the monotonic one.
func (c *Clock) IsDoubtful(now, at time.Time) bool {
	return c.doubtful || now.Sub(c.scannedTo)-at.Sub(c.scannedAt) > Tolerance
}

// Compared ends the doubt.
func (c *Clock) Compared() { c.doubtful = false }
