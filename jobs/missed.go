package jobs

import "time"

const (
	// A tick that is found later than this is a missed one. Timers and a takeover after a visible death stay well below it.
	missedAfter = time.Second

	// How many ticks MissedAll makes up for in one go. The rest is given up.
	maxCatchUp = 1000
)

// dueTick is a tick that has come due. catchUp: it was found late, and is made up for.
type dueTick struct {
	at      time.Time
	catchUp bool
}

// due returns those of the ticks after last, up to now, that are to be started, the oldest first, and the latest of them all,
// started or not. Of several only the latest can be on time: the others have been overtaken, and count as missed.
func (j *cronJob) due(last, now time.Time) (start []dueTick, latest time.Time) {
	latest = j.schedule.latest(last, now)
	if latest.IsZero() {
		return nil, latest
	}
	onTime := now.Sub(latest) <= missedAfter
	deadline := now.Add(-j.StartingDeadline)
	switch j.Missed {
	case MissedOnce:
		if !latest.Before(deadline) {
			start = []dueTick{{latest, !onTime}}
		}
	case MissedAll:
		start = j.missedTicks(last, deadline, latest)
	}
	if onTime {
		if n := len(start); n > 0 && start[n-1].at.Equal(latest) {
			start = start[:n-1]
		}
		start = append(start, dueTick{latest, false})
	}
	return start, latest
}

// missedTicks returns the ticks after last, not before deadline, up to latest, at most maxCatchUp.
func (j *cronJob) missedTicks(last, deadline, latest time.Time) (ticks []dueTick) {
	from := last
	if from.Before(deadline) {
		from = j.schedule.align(last, deadline.Add(-1)) // a tick right at the deadline may still start
	}
	for at := j.schedule.Next(from); !at.After(latest); at = j.schedule.Next(at) {
		if len(ticks) == maxCatchUp {
			j.logger.Warn("too many ticks were missed, the rest is given up", "made_up_for", maxCatchUp, "given_up_from", at)
			break
		}
		ticks = append(ticks, dueTick{at, true})
	}
	return ticks
}
