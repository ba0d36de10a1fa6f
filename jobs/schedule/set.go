package schedule

import (
	"errors"
	"slices"
	"strings"
	"time"
)

// Set are the schedules of one cron job: it runs at the times of any of them, once at a time that several have.
type Set []Schedule

// ParseAll reads at least one expression, as Parse does. The error is an *Error, unless there is none.
func ParseAll(exprs []string, location *time.Location) (Set, error) {
	if len(exprs) == 0 {
		return nil, errors.New("no schedule: " + wantSchedule)
	}
	var all Set
	for _, expr := range exprs {
		schedule, err := Parse(expr, location)
		if err != nil {
			return nil, err
		}
		all = append(all, schedule)
	}
	return all, nil
}

// String returns the schedules in a normal form, which does not depend on their order, nor on one that comes twice.
func (all Set) String() string {
	var texts []string
	for _, s := range all {
		texts = append(texts, s.String())
	}
	slices.Sort(texts)
	return strings.Join(slices.Compact(texts), "; ")
}

// Next returns the first time after t.
func (all Set) Next(t time.Time) (first time.Time) {
	for _, s := range all {
		if next := s.Next(t); first.IsZero() || next.Before(first) {
			first = next
		}
	}
	return first
}

// Latest returns the last time after after and not after until, and zero where there is none.
func (all Set) Latest(after, until time.Time) (last time.Time) {
	for _, s := range all {
		if found := s.latest(after, until); found.After(last) {
			last = found
		}
	}
	return last
}

// Moved says whether the clocks moved the time at, for one of the schedules or several.
func (all Set) Moved(at time.Time) (named string, moved bool) {
	var names []string
	for _, s := range all {
		if name, ok := s.Moved(at); ok && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", "), len(names) > 0
}

// Repeated says whether the time at is the first of two that the clocks show alike, and one of the schedules leaves out
// the second.
func (all Set) Repeated(at time.Time) bool {
	return slices.ContainsFunc(all, func(s Schedule) bool { return s.Repeated(at) })
}
