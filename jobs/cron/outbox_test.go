package cron

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/jobs/cron/internal/clock"
	"github.com/pgsolo/pgsolo/jobs/cron/internal/rows"
)

// jobOf is a job in a term without a database, at the tick of noon.
func jobOf(t testing.TB, c Job) *jobTerm {
	t.Helper()
	c.Name, c.Schedules = "job", []string{"* * * * *"}
	c.Run = func(context.Context, Tick) error { return nil }
	checked, err := newJob(c, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	now := noon
	return newJobTerm(checked, clock.New(func() time.Time { return now }), newOutbox())
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Outcomes are tried again a second after the first of them was deferred, however many follow.
func TestDeferredOutcomesAreRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := jobOf(t, Job{})
		for range 2 {
			j.outbox.deferOutcome(newRun(j, noon, rows.Schedule))
			<-time.After(deferFor / 2)
		}
		if wait := j.outbox.untilRetry(); wait != 0 {
			t.Errorf("retried in %s, want now", wait)
		}
		if j.outbox.retryDeferred(); len(j.outbox.toSettle) != 2 || len(j.outbox.deferred) != 0 {
			t.Errorf("%d are retried and %d left, want 2 and 0", len(j.outbox.toSettle), len(j.outbox.deferred))
		}
	})
}

// A run starts after the outcome of one of its job before it is written, and beside a deferred one.
func TestStartsFollowOutcomes(t *testing.T) {
	j := jobOf(t, Job{})
	other := newJobTerm(j.job, j.clock, j.outbox)
	first, next := newRun(j, noon, rows.Schedule), newRun(j, noon.Add(time.Minute), rows.Schedule)
	j.outbox.record(first, rows.Result{Outcome: rows.OK})
	j.outbox.insert(newRun(other, noon, rows.Schedule))
	if j.outbox.followsUnsettled() {
		t.Error("a run of another job follows the outcome")
	}
	j.outbox.start(next)
	if !j.outbox.followsUnsettled() {
		t.Error("the next run of the job does not follow the outcome")
	}
	j.outbox.written()
	j.outbox.deferOutcome(first)
	if j.outbox.followsUnsettled() {
		t.Error("the next run follows an outcome that is deferred")
	}
	j.outbox.retryDeferred()
	if !j.outbox.followsUnsettled() {
		t.Error("the next run does not follow an outcome that is tried again")
	}
}

// What is written at a time is a page, in the order in which it came.
func TestOutboxPages(t *testing.T) {
	const n = 2*pageSize + 1
	j := jobOf(t, Job{})
	var want []*run
	for i := range n {
		r := newRun(j, noon.Add(time.Duration(i)*time.Minute), rows.Schedule)
		want = append(want, r)
		j.outbox.insert(r)
		j.outbox.record(r, rows.Result{Outcome: rows.OK})
	}
	j.outbox.start(want[0])
	for i, size := range []int{pageSize, pageSize, 1} {
		inserts, starts := j.outbox.takeStarts()
		if len(inserts) != size || inserts[0] != want[i*pageSize] || len(starts) != max(0, 1-i) {
			t.Errorf("page %d: %d inserts and %d starts, want %d and %d", i, len(inserts), len(starts), size,
				max(0, 1-i))
		}
		outcomes := j.outbox.outcomes()
		if len(outcomes) != size || outcomes[0] != want[i*pageSize] {
			t.Errorf("page %d: %d outcomes, want %d", i, len(outcomes), size)
		}
		j.outbox.written()
	}
	if j.outbox.hasStarts() || len(j.outbox.toSettle) > 0 || j.unsettled != 0 {
		t.Errorf("left: %d inserts, %d starts, %d outcomes, %d of the job",
			len(j.outbox.toInsert), len(j.outbox.toStart), len(j.outbox.toSettle), j.unsettled)
	}
	for _, r := range want {
		if !j.outbox.isOpen(j, r.row.At) {
			t.Fatal(fmt.Sprint("not open: ", r.row.At))
		}
		j.outbox.forget(r)
	}
	if len(j.outbox.open) > 0 {
		t.Errorf("%d runs are open, want none", len(j.outbox.open))
	}
}
