package cron

import (
	"slices"
	"time"

	"github.com/pgsolo/pgsolo/jobs/cron/internal/clock"
	"github.com/pgsolo/pgsolo/jobs/cron/internal/rows"
)

// never is when a job is scanned that waits for nothing.
var never = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// jobTerm is a cron job during one term: all that the term knows of this job alone. It is made by newJobTerm and ended
// by end, and belongs to the goroutine of the term.
type jobTerm struct {
	*job
	clock  *clock.Clock // of the term
	outbox *outbox      // of the term

	last      time.Time // ticks up to here are decided on
	next      time.Time // the first one after last
	decidedTo time.Time // up to here earlier leaders have decided; zero: unknown
	paused    bool
	heldUntil time.Time // it was another group's: nothing is started before this
	holding
	runs
	unsettled int // runs whose outcome is to be written, but for those that were deferred; the outbox counts them

	wake     time.Time // when it has to be scanned
	position int       // in the heap
	failing  bool      // the latest run failed
}

func newJobTerm(j *job, clock *clock.Clock, outbox *outbox) *jobTerm {
	return &jobTerm{job: j, clock: clock, outbox: outbox}
}

// end shows that this replica serves the job no more.
func (j *jobTerm) end() {
	j.count(func(s *Stats) { s.Running, s.Waiting, s.Next, s.HeldBy = 0, 0, time.Time{}, "" })
}

// show updates what others see of the job.
func (j *jobTerm) show() {
	j.count(func(s *Stats) {
		s.Running, s.Waiting = int64(len(j.active)), int64(len(j.queue)+len(j.retrying)+len(j.settling))
		s.Paused, s.HeldBy = j.paused, j.heldBy
		if s.Next = j.next.Add(j.delay); j.stopped() {
			s.Next = time.Time{}
		}
	})
}

// stopped says whether only manual runs are started.
func (j *jobTerm) stopped() bool { return j.paused || j.Disabled || j.heldBy != "" }

func (j *jobTerm) mayStart(r *run) bool { return r.row.Cause == rows.Manual || !j.stopped() }

// mayRetry says whether a run that waits for a retry may start when that is due.
func (j *jobTerm) mayRetry(r *run) bool {
	return j.mayStart(r) && j.Overlap.decide(j.fromRetry()) == starts
}

// free says whether the next run of the queue may start.
func (j *jobTerm) free() bool { return j.Overlap.decide(j.fromQueue()) == starts }

// nextWake is when the job has to be scanned by itself.
func (j *jobTerm) nextWake() time.Time {
	wake := never
	if !j.stopped() {
		wake = j.next.Add(j.delay)
	}
	for _, r := range j.retrying {
		if j.mayRetry(r) && r.row.NextAt.Before(wake) {
			wake = r.row.NextAt
		}
	}
	for _, r := range j.queue {
		at := r.row.NextAt
		if !at.IsZero() && r.row.Outcome != rows.Queued && j.mayStart(r) && j.free() && at.Before(wake) {
			wake = at
		}
	}
	return wake
}

// setBack has everything wait as long as it would have without a step of the clock by so much back to now.
func (j *jobTerm) setBack(now time.Time, by time.Duration) {
	if j.last.After(now) {
		j.last = now
		if j.decidedTo.After(now) && j.decidedTo.Sub(now) <= clock.LongStep { // that their rows are there is not sure
			j.last = j.decidedTo
		}
		j.next = j.schedules.Next(j.last)
	}
	for _, r := range slices.Concat(j.settling, j.retrying, j.queue) {
		if !r.row.NextAt.IsZero() {
			r.row.NextAt = r.row.NextAt.Add(-by)
		}
	}
	if !j.wake.IsZero() { // or else it is to be scanned anyway
		j.wake = j.nextWake()
	}
}
