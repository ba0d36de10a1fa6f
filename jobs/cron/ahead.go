package cron

import (
	"context"
	"time"

	"github.com/pgsolo/pgsolo/jobs/cron/internal/clock"
)

// compareClock asks for the database's clock where this one is in doubt: at a claim, and where it goes forth by more
// than the monotonic one, as after a suspension, by which both go forth. Where it is ahead, ticks in between are not
// made up for: a leader whose clock is right starts them when they come.
func compareClock(ctx context.Context, t *term) error {
	now, at := t.clock.Now(), time.Now()
	if !t.clock.IsDoubtful(now, at) {
		return nil
	}
	var server time.Time
	err := persist(ctx, t, "compare the clock with the database's", func(ctx context.Context) (err error) {
		server, err = t.serverNow(ctx) // later than now: it is not ahead by less than that
		return err
	})
	if err != nil {
		return err
	}
	t.clock.Compared()
	if ahead := now.Sub(server); ahead > clock.Tolerance {
		t.logger.Warn("this machine's clock is ahead of the database's: ticks that are still to come are not made up "+
			"for", "ahead_by", ahead.Round(time.Millisecond), "remedy", "set the clocks right")
		for _, j := range t.jobs {
			leaveOut(j, server, now, t.clock.Lateness(at))
		}
		t.heap.init(t.jobs)
	}
	return nil
}

// leaveOut decides on ticks up to what the server's clock shows, and leaves out later ones that are not on time now.
func leaveOut(j *jobTerm, server, now time.Time, late time.Duration) {
	if j.heldBy != "" || now.Before(j.heldUntil) {
		return
	}
	j.scanSchedule(server, late)
	if to := now.Add(-late - j.delay); to.After(j.last) {
		j.last, j.next = to, j.schedules.Next(to)
	}
	j.wake = time.Time{} // scanned at once
}
