package cron

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/pgsolo/pgsolo/jobs/cron/internal/clock"
	"github.com/pgsolo/pgsolo/jobs/cron/internal/inbox"
	"github.com/pgsolo/pgsolo/jobs/cron/internal/rows"
)

// movedHold is how long a job that was another group's waits: by then that one's leader, if there is one, has read of
// it, and has cancelled the job's run.
const movedHold = inbox.PollSubscribed + 5*time.Second

// claim begins the term: from here on no earlier leader's runs are written any more, so what they have left is over.
func (t *term) claim(ctx context.Context) error {
	found, now, err := t.claimAll(ctx, func(job string, owner rows.HeldOwner) bool {
		return t.byName[job].waits.IsGone(owner.Owner, time.Now())
	})
	if err != nil {
		return err
	}
	for _, j := range t.jobs {
		if owner, held := found.Held[j.Name]; held {
			j.hold(owner, j.logger)
			j.show()
			t.held = append(t.held, j)
		}
	}
	t.goOn(found, now, func(*jobTerm) bool { return true })
	t.heap.init(t.jobs)
	t.clock.Claimed(now)
	return nil
}

// claimAll claims all jobs, as of now.
func (t *term) claimAll(ctx context.Context, take rows.Take) (found rows.Claim, now time.Time, err error) {
	var all []rows.Job
	for _, j := range t.jobs {
		all = append(all, j.row())
	}
	err = persist(ctx, t, "claim cron jobs", func(ctx context.Context) (err error) {
		now = t.clock.Now()
		found, err = t.store.Claim(ctx, t.leadership.Term, all, now, take)
		return err
	})
	return found, now, err
}

// goOn begins where earlier leaders have ended, for the jobs that are new to this one.
func (t *term) goOn(found rows.Claim, now time.Time, isNew func(*jobTerm) bool) {
	t.clock.Doubt()
	for _, k := range found.Known {
		if j, ok := t.byName[k.Job]; ok && isNew(j) {
			j.restore(k, now)
		}
	}
	for _, o := range found.Open {
		if j, ok := t.byName[o.Job]; ok && isNew(j) {
			j.takeOver(o, now)
		}
	}
	for _, name := range found.Moved {
		t.byName[name].heldUntil = now.Add(movedHold)
	}
	for _, j := range t.jobs {
		if !isNew(j) {
			continue
		}
		j.takeOverQueue()
		if j.wake = j.nextWake(); len(j.queue) > 0 {
			j.wake = time.Time{}
		}
		j.show()
	}
}

// restore begins where the leader before has ended.
func (j *jobTerm) restore(k rows.Known, now time.Time) {
	j.last, j.paused = k.Last, k.Paused
	if j.last.After(now) {
		j.last = now
	}
	if k.PrunedTo != nil && k.PrunedTo.After(j.last) && k.PrunedTo.Sub(now) <= clock.LongStep {
		j.last = *k.PrunedTo
	}
	if k.DecidedTo != nil {
		j.decidedTo = *k.DecidedTo
	}
	j.next = j.schedules.Next(j.last)
	if k.LastSuccess != nil {
		j.count(func(s *Stats) { s.LastSuccess = *k.LastSuccess })
	}
}

// takeOver goes on with what an earlier leader has left of a tick.
func (j *jobTerm) takeOver(o rows.Open, now time.Time) {
	r := newRun(j, o.At, o.Cause)
	r.row.Attempt, r.row.NextAt = o.Attempt, o.NextAt
	j.outbox.track(r)
	if j.Disabled && r.row.Cause != rows.Manual {
		outcome := rows.Skipped
		if o.Outcome == rows.Running {
			outcome = rows.Interrupted
		}
		j.outbox.close(r, outcome, "the job is not enabled")
		return
	}
	switch o.Outcome {
	case rows.Queued:
		j.queue = append(j.queue, r)
	case rows.Retrying:
		j.retrying = append(j.retrying, r)
	case rows.Running:
		j.logger.Warn("an earlier leader left a run unfinished",
			"scheduled_at", o.At, "attempt", o.Attempt, "term", o.Term)
		result := rows.Result{Outcome: rows.Interrupted, Failure: fmt.Sprintf("the leader of term %d was gone", o.Term)}
		if j.retriesInterrupted(o.Attempt) {
			result.Outcome, r.row.NextAt, r.resumed = rows.Retrying, now, true
		}
		j.outbox.record(r, result)
	}
}

// takeOverQueue does to the queue that earlier leaders have left what the overlap policy says: as if the latest run
// came up now, except that it stays where it is. Of what is made up for, each has its turn.
func (j *jobTerm) takeOverQueue() {
	others := len(j.queue) - 1
	if others < 0 {
		return
	}
	latest, beside := j.queue[others], j.newcomer()
	beside.queued, beside.serial = others, slices.ContainsFunc(j.queue, (*run).catchUp)
	if j.Overlap.decide(beside) == replaces {
		j.queue = j.queue[:others]
		j.replaceAll(latest.row.At)
		j.queue = []*run{latest}
	}
}
