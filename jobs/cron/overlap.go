package cron

import (
	"slices"
	"time"

	"github.com/pgsolo/pgsolo/jobs/cron/internal/rows"
)

// Overlap says what happens to a tick that comes due while the job still has a run: one that is under way, or one that
// waits for a retry or for its turn. It holds for manual runs too, unless they are forced.
type Overlap string

// The policies for overlaps.
const (
	OverlapSkip Overlap = "skip" // it is not started, and recorded as skipped

	// OverlapQueue: it waits for its turn, at most 1000 of them and no longer than StartingDeadline. Manual runs have
	// no limit.
	OverlapQueue Overlap = "queue"

	OverlapReplace Overlap = "replace" // the run is cancelled, and the tick starts when its function has returned
	OverlapAllow   Overlap = "allow"   // it starts beside the run
)

// Overlaps returns all policies for overlaps.
func Overlaps() []Overlap {
	// A further one has its constant above, its place here, and its case in decide.
	return []Overlap{OverlapSkip, OverlapQueue, OverlapReplace, OverlapAllow}
}

// decision is what happens to a run beside the others of its job.
type decision int

const (
	starts   decision = iota // at once
	waits                    // for its turn
	replaces                 // the others end for it, and it waits until they have
	skips                    // it gets no attempt
)

// contender is a run, and the others of its job.
type contender struct {
	accepted bool // it has waited, for its turn or for a retry: it is not skipped any more, nor does it end others
	forced   bool // an operator wants it to start beside any other
	serial   bool // the job makes up for something, one run after the other, and this run has to wait for that

	running int // others that are under way, or have had an attempt and get another one
	queued  int // others that wait for their turn
}

// decide is the one place that says what happens to a run beside others of its job: to a tick that comes due, to a
// manual run, to what earlier leaders have left, and to a run that has waited.
func (o Overlap) decide(c contender) decision {
	switch {
	case c.serial:
		return waits
	case c.forced || c.running+c.queued == 0 || o == OverlapAllow:
		return starts
	case o == OverlapQueue || c.accepted:
		return waits
	case o == OverlapReplace:
		return replaces
	}
	return skips
}

// runs are the open runs of a job. A row that is retrying or queued in the database stands in one of these, too.
type runs struct {
	active   []*run // under way, or about to be started
	settling []*run // attempts that have ended and get another one, once that is written
	retrying []*run
	queue    []*run // the first one is next
}

// newcomer is a run that comes up beside all these.
func (r *runs) newcomer() contender {
	return contender{running: len(r.active) + len(r.settling) + len(r.retrying), queued: len(r.queue)}
}

// fromQueue is the first run of the queue. Where runs may overlap, only what is made up for waits for its like.
func (r *runs) fromQueue() contender {
	return contender{
		accepted: true, serial: madeUpFor(r.active, r.settling, r.retrying),
		running: len(r.active) + len(r.settling) + len(r.retrying),
	}
}

// fromRetry is a run whose retry is due. There may be several, and a forced run beside them.
func (r *runs) fromRetry() contender { return contender{accepted: true, running: len(r.active)} }

// catchesUp says whether something is made up for: ticks that were missed, or runs that were cut off.
func (r *runs) catchesUp() bool { return madeUpFor(r.active, r.settling, r.retrying, r.queue) }

func madeUpFor(lists ...[]*run) bool {
	for _, list := range lists {
		if slices.ContainsFunc(list, func(r *run) bool { return r.catchUp() || r.resumed }) {
			return true
		}
	}
	return false
}

// remove takes a run out of one of the lists, if it is there.
func remove(from *[]*run, r *run) {
	if i := slices.Index(*from, r); i >= 0 {
		*from = slices.Delete(*from, i, i+1)
	}
}

// replaceAll ends every run of the job for a later one. Those under way are cancelled, and the later one begins when
// they have ended.
func (j *jobTerm) replaceAll(by time.Time) {
	reason := &replacedError{by}
	for _, r := range j.active {
		if r.replaced != nil {
			continue
		}
		if r.replaced = reason; r.cancel != nil {
			r.cancel(reason)
		}
	}
	for _, r := range j.settling { // among those to be settled already
		r.row.Outcome, r.row.Failure = rows.Replaced, reason.after(r.row.Failure)
	}
	for _, r := range j.retrying {
		j.outbox.close(r, rows.Replaced, reason.Error())
	}
	for _, r := range j.queue {
		j.outbox.close(r, rows.Skipped, reason.Error())
	}
	j.settling, j.retrying, j.queue = nil, nil, nil
}
