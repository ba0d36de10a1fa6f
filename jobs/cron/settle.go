package cron

import (
	"context"
	"time"
)

// How long the last outcomes may take to be written once the leader has to stop at once.
const lastOutcome = time.Second

// settle writes a page of what has ended.
func (t *term) settle(ctx context.Context) error {
	if len(t.toSettle) == 0 {
		return nil
	}
	return t.persist(ctx, "record outcomes", t.settlePage)
}

// settlePage makes one try.
func (t *term) settlePage(ctx context.Context) error {
	page := t.toSettle[:min(cronPage, len(t.toSettle))]
	locked, err := t.store.settle(ctx, t.term, page)
	if err != nil {
		return err
	}
	if t.toSettle = t.toSettle[len(page):]; len(t.toSettle) == 0 {
		t.toSettle = nil // or else a burst's memory would stay
	}
	for _, r := range page {
		r.job.unsettled--
		if locked[r.key()] {
			t.setAside(r)
		} else {
			t.settled(r)
		}
	}
	return nil
}

// settled goes on with a run whose outcome has been written.
func (t *term) settled(r *run) {
	j := r.job
	outcome := r.result.outcome
	r.result = runResult{}
	if outcome == outcomeRetrying {
		j.remove(&j.settling, r)
		j.retrying = append(j.retrying, r)
		t.touch(j)
	} else {
		t.close(r)
		j.ended.Add(1)
	}
	j.count(func(s *Stats) {
		s.conclude(outcome)
		if outcome == outcomeOK && (r.ended.After(s.LastSuccess) || s.LastSuccess.After(t.now())) {
			s.LastSuccess = r.ended
		}
	})
	t.show(j)
}

// settleLast writes what has ended when ctx is done already. What it cannot write within lastOutcome, the next leader records as
// interrupted, or starts again where OnInterrupt says so.
func (t *term) settleLast(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastOutcome)
	defer cancel()
	for t.takeUp(); len(t.toSettle) > 0; t.takeUp() {
		for len(t.toSettle) > 0 {
			if err := t.settlePage(ctx); err != nil {
				t.logger.Debug("last outcomes not written", "runs", len(t.toSettle), "error", err)
				return
			}
		}
		if len(t.aside) > 0 {
			select {
			case <-ctx.Done():
			case <-time.After(lastOutcome / 20):
			}
		}
	}
}

// writeEnd has it written how an attempt has ended, or that there will be none.
func (t *term) writeEnd(r *run, result runResult) {
	r.result = result
	r.job.unsettled++
	if result.outcome == outcomeRetrying {
		r.job.settling = append(r.job.settling, r)
	}
	t.toSettle = append(t.toSettle, r)
}
