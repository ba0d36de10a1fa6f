package cron

import (
	"context"

	"github.com/pgsolo/pgsolo/jobs/cron/internal/rows"
)

// begin scans, writes what that has found, and starts what is to be started.
func (t *term) begin(ctx context.Context) error {
	t.scan()
	for t.outbox.followsUnsettled() {
		if err := t.settle(ctx); err != nil {
			return err
		}
	}
	for t.outbox.hasStarts() {
		if !t.leadership.Held() {
			return nil // the context is about to end, and the next leader finds the ticks
		}
		inserts, starts := t.outbox.takeStarts()
		insertRows, startRows := rowsOf(inserts), rowsOf(starts)
		var mine, locked map[rows.Key]bool
		err := persist(ctx, t, "record ticks", func(ctx context.Context) (err error) {
			mine, locked, err = t.store.Begin(ctx, t.leadership.Term, t.leadership.Holder, insertRows, startRows)
			return err
		})
		if err != nil {
			return err
		}
		held := t.leadership.Held()
		for _, r := range inserts {
			t.inserted(ctx, r, mine[r.key()], held)
		}
		for _, r := range starts {
			if locked[r.key()] {
				r.job.requeue(r)
				t.heap.wakeSoon(r.job)
				r.job.show()
			} else {
				t.inserted(ctx, r, mine[r.key()], held)
			}
		}
	}
	return nil
}

// inserted goes on with a run that begin has written. mine: its row is as it was asked for.
func (t *term) inserted(ctx context.Context, r *run, mine, held bool) {
	j, outcome := r.job, r.row.Outcome
	switch {
	case !mine:
		j.logger.Debug("tick was decided on before, or the job is paused or another group's", "scheduled_at", r.row.At)
		remove(&j.active, r)
		remove(&j.queue, r)
		t.outbox.forget(r)
		t.heap.wakeSoon(j)
	case outcome == rows.Running && held:
		t.call(ctx, r)
	case outcome == rows.Running: // its row is open, and the next leader's
		remove(&j.active, r)
	case outcome == rows.Queued:
		r.row.Result = rows.Result{}
		t.heap.wakeSoon(j)
	default:
		j.logger.Debug("tick not started", "scheduled_at", r.row.At, "outcome", outcome, "reason", r.row.Failure)
		j.count(func(s *Stats) { s.conclude(outcome) })
		t.outbox.forget(r)
		j.ended.Add(1)
	}
	j.show()
}
