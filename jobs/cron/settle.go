package cron

import (
	"context"
	"time"

	"github.com/pgsolo/pgsolo/jobs/cron/internal/rows"
)

// How long the last outcomes may take to be written once the leader has to stop at once.
const lastOutcome = time.Second

// settle writes a page of what has ended.
func (t *term) settle(ctx context.Context) error {
	if len(t.outbox.toSettle) == 0 {
		return nil
	}
	return t.Scheduler.store.DB.Persist(ctx, t.logger, "record outcomes", t.pulse.During(t.settlePage))
}

// settlePage makes one try.
func (t *term) settlePage(ctx context.Context) error {
	page := t.outbox.outcomes()
	locked, err := t.store.Settle(ctx, t.leadership.Term, rowsOf(page))
	if err != nil {
		return err
	}
	t.outbox.written()
	for _, r := range page {
		if locked[r.key()] {
			t.outbox.deferOutcome(r)
			r.job.show()
		} else {
			t.settled(r)
		}
	}
	return nil
}

// settled goes on with a run whose outcome has been written.
func (t *term) settled(r *run) {
	j := r.job
	outcome := r.row.Outcome
	r.row.Result = rows.Result{}
	if outcome == rows.Retrying {
		remove(&j.settling, r)
		j.retrying = append(j.retrying, r)
		t.heap.wakeSoon(j)
	} else {
		t.outbox.forget(r)
		j.ended.Add(1)
	}
	j.count(func(s *Stats) {
		s.conclude(outcome)
		if outcome == rows.OK && (r.ended.After(s.LastSuccess) || s.LastSuccess.After(t.clock.Now())) {
			s.LastSuccess = r.ended
		}
	})
	j.show()
}

// settleLast writes what has ended when ctx is done already. What it cannot write within lastOutcome, the next leader
// records as interrupted, or starts again where OnInterrupt says so.
func (t *term) settleLast(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastOutcome)
	defer cancel()
	for t.outbox.retryDeferred(); len(t.outbox.toSettle) > 0; t.outbox.retryDeferred() {
		for len(t.outbox.toSettle) > 0 {
			if err := t.settlePage(ctx); err != nil {
				t.logger.Debug("last outcomes not written", "runs", len(t.outbox.toSettle), "error", err)
				return
			}
		}
		if len(t.outbox.deferred) > 0 {
			select {
			case <-ctx.Done():
			case <-time.After(lastOutcome / 20):
			}
		}
	}
}
