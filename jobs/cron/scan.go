package cron

import (
	"slices"
	"time"

	"github.com/pgsolo/pgsolo/jobs/cron/internal/rows"
)

// scan decides what is to be done for the jobs that are due, for a page of them at most.
func (t *term) scan() {
	now, at := t.clock.Now(), time.Now()
	if back := t.clock.Follow(now); back > 0 {
		t.setBack(now, back)
	}
	late := t.clock.Lateness(at)
	scanned := 0
	for ; scanned < pageSize && len(t.heap) > 0 && !t.heap[0].wake.After(now); scanned++ {
		j := t.heap[0]
		j.scan(now, late)
		t.heap.moved(j)
	}
	if scanned < pageSize { // or else there are more that were due then
		t.clock.Scanned(now, at)
	}
	t.reportOverdue()
}

// untilDue returns how long until a job has to be scanned, or the clock, or commands, or deferred outcomes.
func (t *term) untilDue() time.Duration {
	wait := min(clockCheck, t.inbox.UntilPoll(), t.outbox.untilRetry(), t.untilHeldPoll())
	if len(t.heap) > 0 {
		wait = min(wait, t.heap[0].wake.Sub(t.clock.Now()))
	}
	return max(0, wait)
}

// setBack follows a step of the clock by so much back to now.
func (t *term) setBack(now time.Time, by time.Duration) {
	if by >= time.Second {
		t.logger.Info("the clock was set back", "by", by)
	}
	for _, j := range t.jobs {
		j.setBack(now, by)
	}
	t.heap.init(t.jobs)
}

// scan decides what is to be done for one job, and when it has to be scanned again. late is how late a tick may be
// found.
func (j *jobTerm) scan(now time.Time, late time.Duration) {
	if j.heldBy != "" {
		j.wake = never
		return
	}
	if now.Before(j.heldUntil) {
		j.wake = j.heldUntil
		return
	}
	for _, r := range slices.Clone(j.retrying) {
		if j.mayRetry(r) && !r.row.NextAt.After(now) {
			remove(&j.retrying, r)
			j.start(r)
		}
	}
	j.scanSchedule(now, late)
	j.scanQueue(now)
	j.wake = j.nextWake()
	j.show()
}

// scanSchedule decides on every tick that has come due since the latest scan.
func (j *jobTerm) scanSchedule(now time.Time, late time.Duration) {
	limit := now.Add(-j.delay)
	if j.stopped() || j.next.After(limit) {
		return
	}
	latest, following := j.next, j.schedules.Next(j.next)
	if !following.After(limit) {
		latest = j.schedules.Latest(j.next, limit)
		following = j.schedules.Next(latest)
	}
	decision := j.decide(j.last, latest, now, late)
	if latest.After(j.next) || !decision.missed.IsZero() {
		j.logMissed(j.last, latest, decision)
	}
	j.last, j.next = latest, following
	for _, tick := range decision.start {
		j.due(tick)
	}
	if !decision.missed.IsZero() && !j.cameBefore(decision.missed) {
		j.logger.Debug("tick missed", "scheduled_at", decision.missed, "reason", decision.because)
		j.insert(dueTick{decision.missed, true}, rows.Missed, decision.because)
	}
}

// cameBefore says whether the tick came due before the clock was set back.
func (j *jobTerm) cameBefore(at time.Time) bool {
	return j.outbox.isOpen(j, at) || j.clock.CameBefore(at.Add(j.delay))
}

// scanQueue starts the next run that waits for its turn, if it has come.
func (j *jobTerm) scanQueue(now time.Time) {
	for len(j.queue) > 0 {
		i := slices.IndexFunc(j.queue, j.mayStart)
		if i < 0 || !j.free() {
			return
		}
		r := j.queue[i]
		if r.row.Outcome == rows.Queued || r.row.NextAt.After(now) {
			return // its row is about to be made, and the scan after that starts it; or it is locked
		}
		j.queue = slices.Delete(j.queue, i, i+1)
		if r.row.Cause != rows.Manual && now.Sub(r.row.At.Add(j.delay)) > j.StartingDeadline {
			const reason = "waited for its turn beyond its starting deadline of "
			j.outbox.close(r, rows.Skipped, reason+j.StartingDeadline.String())
			continue
		}
		j.start(r)
	}
}
