package cron

import (
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/jobs/cron/internal/rows"
	"github.com/pgsolo/pgsolo/jobs/internal/loop"
)

const (
	// How many jobs are scanned, and how many rows written, at a time: what has been written starts while the rest is
	// scanned.
	pageSize = 512

	// Outcomes are written when nothing is due, or when so many wait.
	maxUnsettled = 50 * pageSize

	// How long a row that was locked is not tried again.
	deferFor = time.Second
)

// outbox has the rows of a term: the runs whose row may be open, and what is not written yet. It decides in which
// order that is written, and does no input or output. It belongs to the goroutine of the term.
//
// Another session may have a lock on an open row, as an update has that is not committed. What is to be written to it
// is tried again, and nothing else waits for it: an outcome is deferred, while its job goes on, and a run that was to
// be started waits as it did before.
type outbox struct {
	open map[rows.Key]*run // all whose row may be open

	toInsert []*run // rows to be made, with their outcome; the running ones are then started
	toStart  []*run // rows that are there, to be started
	toSettle []*run // outcomes

	deferred   []*run    // outcomes whose row is locked
	deferredAt time.Time // when the first of them was deferred
	locks      loop.Episode
}

func newOutbox() *outbox { return &outbox{open: map[rows.Key]*run{}} }

// isOpen says whether the job has an open run that is scheduled at that time.
func (o *outbox) isOpen(j *jobTerm, at time.Time) bool { return o.open[rows.KeyOf(j.Name, at)] != nil }

// manual counts the manual runs that have started, of the job and of all.
func (o *outbox) manual(j *jobTerm) (ofJob, all int) {
	for _, r := range o.open {
		if r.row.Cause == rows.Manual && r.row.Attempt > 0 {
			if all++; r.job == j {
				ofJob++
			}
		}
	}
	return ofJob, all
}

// track takes in a run whose row is open.
func (o *outbox) track(r *run) { o.open[r.key()] = r }

// forget drops a run whose row is closed, or another leader's.
func (o *outbox) forget(r *run) { delete(o.open, r.key()) }

// insert has the row of a run made.
func (o *outbox) insert(r *run) {
	o.track(r)
	o.toInsert = append(o.toInsert, r)
}

// start has a run started whose row is there.
func (o *outbox) start(r *run) { o.toStart = append(o.toStart, r) }

// record has it written how an attempt has ended, or that there will be none.
func (o *outbox) record(r *run, result rows.Result) {
	r.row.Result = result
	r.job.unsettled++
	if result.Outcome == rows.Retrying {
		r.job.settling = append(r.job.settling, r)
	}
	o.toSettle = append(o.toSettle, r)
}

// close ends a run that waits.
func (o *outbox) close(r *run, outcome, reason string) {
	o.record(r, rows.Result{Outcome: outcome, Failure: reason})
}

// hasStarts says whether rows are to be made or runs to be started.
func (o *outbox) hasStarts() bool { return len(o.toInsert)+len(o.toStart) > 0 }

// followsUnsettled says whether a run is to be started after another one of its job whose row still says that it runs.
// A leader that dies between the two would leave both to the next one.
func (o *outbox) followsUnsettled() bool {
	follows := func(r *run) bool { return r.job.unsettled > 0 }
	return slices.ContainsFunc(o.toInsert, follows) || slices.ContainsFunc(o.toStart, follows)
}

// takeStarts takes out what is written next, in one transaction.
func (o *outbox) takeStarts() (inserts, starts []*run) {
	return takePage(&o.toInsert), takePage(&o.toStart)
}

// outcomes returns those that are written next, in one transaction. They stay until written is called.
func (o *outbox) outcomes() []*run { return o.toSettle[:min(pageSize, len(o.toSettle))] }

// written takes out what outcomes returned.
func (o *outbox) written() {
	for _, r := range takePage(&o.toSettle) {
		r.job.unsettled--
	}
}

func takePage(from *[]*run) (page []*run) {
	n := min(pageSize, len(*from))
	page, *from = (*from)[:n], (*from)[n:]
	if len(*from) == 0 {
		*from = nil // or else a burst's memory would stay
	}
	return page
}

func (o *outbox) logLocked(r *run) {
	o.locks.Log(r.job.logger, hclog.Warn, "somebody has a lock on a row of cron_run: it is written when that has gone",
		"scheduled_at", r.row.At)
}

// deferOutcome keeps an outcome whose row is locked.
func (o *outbox) deferOutcome(r *run) {
	o.logLocked(r)
	if len(o.deferred) == 0 {
		o.deferredAt = time.Now()
	}
	o.deferred = append(o.deferred, r)
}

// untilRetry returns how long until the deferred outcomes are to be tried again.
func (o *outbox) untilRetry() time.Duration {
	if len(o.deferred) == 0 {
		return clockCheck
	}
	return max(0, deferFor-time.Since(o.deferredAt))
}

// retryDeferred has the deferred outcomes tried again.
func (o *outbox) retryDeferred() {
	for _, r := range o.deferred {
		r.job.unsettled++
	}
	o.toSettle = append(o.toSettle, o.deferred...)
	o.deferred = nil
}

func rowsOf(list []*run) []*rows.Run {
	all := make([]*rows.Run, len(list))
	for i, r := range list {
		all[i] = &r.row
	}
	return all
}
