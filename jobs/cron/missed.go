package cron

import (
	"fmt"
	"slices"
	"time"

	"github.com/pgsolo/pgsolo/jobs/cron/internal/clock"
)

// Missed says which of the ticks that passed while there was no leader, or while the job was not served for another
// reason, are made up for, among those within the starting deadline. What it leaves out is not started; if that
// includes the latest of all, that one is recorded as missed.
type Missed string

// The policies for missed ticks.
const (
	MissedSkip Missed = "skip" // none
	MissedOnce Missed = "once" // the latest

	// MissedAll: each, the oldest first, one after the other, at most MaxCatchUp of them. What comes due meanwhile
	// waits, and so it does while a run that was cut off is started again.
	MissedAll Missed = "all"
)

// tickDecision is what a scan of the schedule has found: the ticks to be started, the oldest first, and one that is
// left out.
type tickDecision struct {
	start   []dueTick
	missed  time.Time // the latest tick, if it is not started; else zero
	because string
}

type dueTick struct {
	at      time.Time
	catchUp bool // it was found late, and is made up for
}

// decide goes over the ticks after last, up to latest, which is the last of them that is not after now. Of several only
// the latest can be on time: the others have been overtaken, and count as missed. late is how late that one may be
// found.
func (j *job) decide(last, latest, now time.Time, late time.Duration) tickDecision {
	due := latest.Add(j.delay)
	if now.Sub(due) <= min(late, max(clock.MissedAfter, j.StartingDeadline)) {
		d := tickDecision{start: []dueTick{{latest, false}}}
		if j.Missed == MissedAll {
			before := j.schedules.Latest(last, latest.Add(-1))
			d.start = append(j.missedTicks(last, before, now), d.start...)
		}
		return d
	}
	switch {
	case j.Missed == MissedSkip:
		return tickDecision{missed: latest, because: fmt.Sprintf("found %s late", now.Sub(due).Round(time.Second))}
	case now.Sub(due) > j.StartingDeadline:
		return tickDecision{missed: latest,
			because: fmt.Sprintf("found after its starting deadline of %s", j.StartingDeadline)}
	case j.Missed == MissedOnce:
		return tickDecision{start: []dueTick{{latest, true}}}
	}
	return tickDecision{start: j.missedTicks(last, latest, now)}
}

// countTicks counts the ticks after last up to latest, up to a limit: there may be very many, of very many jobs.
func (j *job) countTicks(last, latest time.Time) (n int) {
	const limit = 100
	for at := j.schedules.Next(last); n < limit && !at.After(latest); at = j.schedules.Next(at) {
		n++
	}
	return n
}

// logMissed writes a line about ticks after last that are left out.
func (j *job) logMissed(last, latest time.Time, decision tickDecision) {
	if left := j.countTicks(last, latest) - len(decision.start); left > 0 {
		j.logger.Info("ticks were missed",
			"not_started_at_least", left, "made_up_for", len(decision.start), "latest", latest)
	}
}

// missedTicks returns the ticks after last up to latest that are within the deadline: the latest ones, if they are too
// many.
func (j *job) missedTicks(last, latest, now time.Time) (ticks []dueTick) {
	earliest := now.Add(-j.StartingDeadline - j.delay) // a tick right at the deadline may still start
	if last.Before(earliest) {
		last = earliest.Add(-1)
	}
	for at := latest; at.After(last); at = j.schedules.Latest(last, at.Add(-1)) {
		if len(ticks) == j.MaxCatchUp {
			j.logger.Warn("too many ticks were missed, the earlier ones are given up",
				"made_up_for", j.MaxCatchUp, "given_up_to", at)
			break
		}
		ticks = append(ticks, dueTick{at, true})
	}
	slices.Reverse(ticks)
	return ticks
}
