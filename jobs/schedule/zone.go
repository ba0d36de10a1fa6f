package schedule

import (
	"time"
)

// In this file, what the clocks of a time zone show is a Time in UTC with the same date and time of day.

// stretch is a time during which the clocks of a zone keep one distance from UTC. Stretches that follow one another may
// keep the same.
type stretch struct {
	start, end time.Time // zero: it has none; end itself belongs to the next
	offset     time.Duration
}

func (s stretch) shown(at time.Time) time.Time { return at.UTC().Add(s.offset) }

func (s stretch) instant(shown time.Time) time.Time { return shown.Add(-s.offset) }

func stretchAt(t time.Time, location *time.Location) stretch {
	t = t.In(location)
	_, offset := t.Zone()
	start, end := t.ZoneBounds()
	if !end.IsZero() && !end.After(t) {
		// Beyond the zone's table of transitions, package time ends a year after 365 days. On the 366th the clocks are
		// left alone.
		end = t.UTC().Truncate(24*time.Hour).AddDate(0, 0, 1)
	}
	return stretch{start: start, end: end, offset: seconds(offset)}
}

// aroundTheWorld is more than what the clocks of two zones, or those of one at two times, differ by.
const aroundTheWorld = 36 * time.Hour

// highestShown returns the latest date and time that the clocks of location have shown up to t: those that they show at
// t, or while a time repeats, those at which they were put back.
func highestShown(t time.Time, location *time.Location) time.Time {
	current := stretchAt(t, location)
	highest := current.shown(t)
	for !current.start.IsZero() && current.start.After(t.Add(-aroundTheWorld)) {
		end := current.start
		current = stretchAt(end.Add(-1), location)
		if last := current.shown(end).Add(-1); last.After(highest) {
			highest = last
		}
	}
	return highest
}

// firstReached returns the first instant at which the clocks of location show shown, and where they skip it, the first
// one after that.
func firstReached(shown time.Time, location *time.Location) time.Time {
	for current := stretchAt(shown.Add(-aroundTheWorld), location); ; current = stretchAt(current.end, location) {
		at := current.instant(shown)
		switch {
		case !current.start.IsZero() && at.Before(current.start):
			return current.start
		case current.end.IsZero() || at.Before(current.end):
			return at
		}
	}
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
