package schedule

import (
	"time"
)

// Moved says whether the schedule runs at the instant at in place of times that the clocks skip there, because they are
// put forward. It may run at that instant anyway. named is what the expression names: the date and time skipped, such
// as "2026-03-29 02:30", or the first and the last of several, such as "2026-03-29 02:00 to 02:55".
func (s Schedule) Moved(at time.Time) (named string, moved bool) {
	if s.calendar == nil || s.everyHour {
		return "", false
	}
	before, beyond := highestShown(at.Add(-1), s.location), stretchAt(at, s.location).shown(at).Add(-1)
	first := s.nextInCalendar(before)
	if first.After(beyond) {
		return "", false
	}
	last := latestOf(s.nextInCalendar, before, beyond)
	date, clock := time.DateOnly, "15:04"
	if first.Second() != 0 || last.Second() != 0 {
		clock = time.TimeOnly
	}
	named = first.Format(date + " " + clock)
	switch {
	case last.Equal(first):
	case last.Format(date) == first.Format(date):
		named += " to " + last.Format(clock)
	default:
		named += " to " + last.Format(date+" "+clock)
	}
	return named, true
}

// Repeated says whether the schedule runs at the instant at and not again, although the clocks will show the same time
// once more, because they are put back meanwhile. Only the first of the two counts, unless the hours are a wildcard.
func (s Schedule) Repeated(at time.Time) bool {
	if s.calendar == nil || s.everyHour || !s.Next(at.Add(-1)).Equal(at) {
		return false
	}
	now := stretchAt(at, s.location)
	for end := now.end; !end.IsZero() && end.Before(at.Add(aroundTheWorld)); {
		later := stretchAt(end, s.location)
		if !later.shown(end).After(now.shown(at)) {
			return true
		}
		end = later.end
	}
	return false
}
