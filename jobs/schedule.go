package jobs

import (
	"time"

	"github.com/robfig/cron/v3"
)

// Schedule says when a cron job runs: at the times of a calendar in one time zone, or at a fixed distance. ParseSchedule makes
// one; the zero value has no times.
//
// Where the clocks are put forward, a time that does not exist is replaced by the first instant that does; where they are put
// back, a time that exists twice counts once, the first time. A schedule whose hours are a wildcard (* or */n) has nothing to
// make up for: it follows the clock as it shows.
type Schedule struct {
	text string

	every time.Duration // of an @every schedule; else 0

	// calendar is kept in UTC, where no hour is missing or comes twice. Next leads its times through location.
	calendar  *cron.SpecSchedule
	location  *time.Location
	everyHour bool
}

// String returns the expression, and the time zone that it is read in. Two schedules with the same text have the same times.
func (s Schedule) String() string { return s.text }

// Next returns the first time after t. For @every that is a fixed distance from t, whatever t is.
func (s Schedule) Next(t time.Time) time.Time {
	switch {
	case s.every > 0:
		return t.Add(s.every)
	case s.everyHour:
		return s.nextShown(t)
	default:
		return s.nextNamed(t)
	}
}

// align returns the instant whose Next is the first time after t, in the sequence that anchor belongs to.
func (s Schedule) align(anchor, t time.Time) time.Time {
	if s.every == 0 {
		return t
	}
	past := t.Sub(anchor) % s.every
	if past < 0 {
		past += s.every
	}
	return t.Add(-past)
}

// latest returns the last time after anchor and not after t, and zero where there is none. It bisects, so that the number of
// times between the two does not matter.
func (s Schedule) latest(anchor, t time.Time) time.Time {
	found, beyond := s.Next(anchor), t // found is not after t; no time lies after beyond and not after t
	if found.After(t) {
		return time.Time{}
	}
	for {
		following := s.Next(found)
		if following.After(t) {
			return found
		}
		middle := s.align(anchor, found.Add(beyond.Sub(found)/2))
		if later := s.Next(middle); later.After(t) {
			found, beyond = following, middle
		} else {
			found = later
		}
	}
}

// nextNamed is Next for hours that are named one by one.
func (s Schedule) nextNamed(t time.Time) time.Time {
	_, offset := t.In(s.location).Zone()
	for shown := t.UTC().Add(seconds(offset)); ; {
		shown = s.nextInCalendar(shown)
		if at := firstInstant(shown, s.location); at.After(t) {
			return at
		}
	}
}

// nextShown is Next for wildcard hours: within each stretch of constant offset the clock behaves as it does in UTC.
func (s Schedule) nextShown(t time.Time) time.Time {
	stretch := t.In(s.location)
	for {
		_, offset := stretch.Zone()
		_, end := stretch.ZoneBounds()
		at := s.nextInCalendar(t.UTC().Add(seconds(offset))).Add(-seconds(offset))
		if end.IsZero() || at.Before(end) {
			return at.In(s.location)
		}
		stretch, t = end, end.Add(-1) // one nanosecond less, since the next stretch may begin with a tick
	}
}

// nextInCalendar looks ten years ahead, because the parser's own five do not always reach the next 29 February. ParseSchedule
// has refused what is not found there.
func (s Schedule) nextInCalendar(shown time.Time) time.Time {
	if next := s.calendar.Next(shown); !next.IsZero() {
		return next
	}
	return s.calendar.Next(shown.AddDate(5, 0, 0))
}

// firstInstant returns the first instant at which the clocks of location show what shown shows in UTC, and where they never
// do, the first one after the gap.
func firstInstant(shown time.Time, location *time.Location) time.Time {
	at := time.Date(shown.Year(), shown.Month(), shown.Day(), shown.Hour(), shown.Minute(), shown.Second(), 0, location)
	start, end := at.ZoneBounds()
	_, offset := at.Zone()
	switch inUTC := at.UTC().Add(seconds(offset)); {
	case inUTC.After(shown): // time.Date has used the offset from before the gap
		return start
	case inUTC.Before(shown): // and here the one from after it
		return end
	case start.IsZero():
		return at
	}
	_, before := start.Add(-1).Zone()
	if earlier := shown.Add(-seconds(before)); earlier.Before(start) {
		return earlier.In(location)
	}
	return at
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
