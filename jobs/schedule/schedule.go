package schedule

import (
	"time"

	"github.com/robfig/cron/v3"
)

// Schedule says when a cron job runs: at the times of a calendar in one time zone, or at a fixed distance.
// Parse makes one; the zero value has no times. A Schedule does not change: several goroutines may use it.
//
// Where the clocks are put forward, the times that they skip are replaced by the first instant after them; where they
// are put back, a time that they show twice counts once, the first time. A schedule whose hours are a wildcard (* or
// */n) has nothing to make up for: it follows the clock as it shows.
type Schedule struct {
	text string

	every time.Duration // of an @every schedule, whole seconds; else 0

	// calendar is kept in UTC, where no hour is missing or comes twice. Next leads its times through location.
	calendar  *cron.SpecSchedule
	location  *time.Location
	everyHour bool
}

// String returns the schedule in a normal form: expressions that mean the same have the same. It ends with the time
// zone, except that of @every. Two schedules with the same text have the same times.
func (s Schedule) String() string { return s.text }

// Next returns the first time after t, in the schedule's time zone. There always is one, at most eight years and some
// days away. It has no monotonic reading, as a schedule is about the wall clock.
func (s Schedule) Next(t time.Time) time.Time {
	switch {
	case s.every > 0:
		return nextMultiple(t, s.every).In(s.location)
	case s.calendar == nil:
		return time.Time{}
	case s.everyHour:
		return s.nextShown(t).In(s.location)
	default:
		return firstReached(s.nextInCalendar(highestShown(t, s.location)), s.location).In(s.location)
	}
}

// latest returns the last time after after and not after until, and zero where there is none.
func (s Schedule) latest(after, until time.Time) time.Time { return latestOf(s.Next, after, until) }

// latestOf returns the last of the times that next leads through. It bisects, so that their number does not matter.
func latestOf(next func(time.Time) time.Time, after, until time.Time) time.Time {
	found, beyond := next(after), until // found is not after until; no time lies after beyond and not after until
	if found.IsZero() || found.After(until) {
		return time.Time{}
	}
	for {
		following := next(found)
		if following.After(until) {
			return found
		}
		middle := found.Add(beyond.Sub(found) / 2)
		if later := next(middle); later.After(until) {
			found, beyond = following, middle
		} else {
			found = later
		}
	}
}

// nextMultiple returns the first instant after t that lies a multiple of every after the Unix epoch.
func nextMultiple(t time.Time, every time.Duration) time.Time {
	step := int64(every / time.Second)
	past := t.Unix() % step
	if past < 0 {
		past += step
	}
	return time.Unix(t.Unix()-past+step, 0)
}

// nextShown is Next for wildcard hours: within each stretch of constant offset the clock behaves as it does in UTC.
func (s Schedule) nextShown(t time.Time) time.Time {
	current := stretchAt(t, s.location)
	for shown := current.shown(t); ; {
		at := current.instant(s.nextInCalendar(shown))
		if current.end.IsZero() || at.Before(current.end) {
			return at
		}
		following := stretchAt(current.end, s.location)
		shown = following.shown(current.end).Add(-1) // it may begin with a tick
		current = following
	}
}

// nextInCalendar searches ten years ahead, because the parser's own five do not always reach the next 29 February.
// Parse has refused what is not found there.
func (s Schedule) nextInCalendar(shown time.Time) time.Time {
	shown = s.skipEmpty(shown)
	if next := s.calendar.Next(shown); !next.IsZero() {
		return next
	}
	return s.calendar.Next(shown.AddDate(5, 0, 0))
}

// skipEmpty leaves out the rest of the minute, hour and day after shown where it has none of the calendar's seconds,
// minutes and hours: the parser's Schedule would go through it one by one.
func (s Schedule) skipEmpty(shown time.Time) time.Time {
	const day = 24 * time.Hour
	next := shown.Truncate(time.Second).Add(time.Second)
	if s.calendar.Second>>next.Second() == 0 {
		next = next.Truncate(time.Minute).Add(time.Minute)
	}
	if s.calendar.Minute>>next.Minute() == 0 {
		next = next.Truncate(time.Hour).Add(time.Hour)
	}
	if s.calendar.Hour>>next.Hour() == 0 {
		next = next.Truncate(day).Add(day)
	}
	return next.Add(-1)
}
