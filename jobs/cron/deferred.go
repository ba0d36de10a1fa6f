package cron

import (
	"time"

	"github.com/hashicorp/go-hclog"
)

// Somebody may have a lock on an open row, as an update has which nobody commits. What is to be written to it is tried again, and nothing
// else waits for it: an outcome is set aside, while its job goes on, and a run that was to be started waits as it did before.

// How long a row is left alone that was locked.
const asideFor = time.Second

func (t *term) logLocked(r *run) {
	t.locks.Log(r.job.logger, hclog.Warn, "somebody has a lock on a row of cron_run: it is written when that has gone", "scheduled_at", r.at)
}

// setAside keeps an outcome whose row is locked.
func (t *term) setAside(r *run) {
	t.logLocked(r)
	if len(t.aside) == 0 {
		t.asideAt = time.Now()
	}
	t.aside = append(t.aside, r)
	t.show(r.job)
}

// untilTakeUp returns how long until the outcomes that were set aside are to be tried again.
func (t *term) untilTakeUp() time.Duration {
	if len(t.aside) == 0 {
		return clockCheck
	}
	return max(0, asideFor-time.Since(t.asideAt))
}

func (t *term) takeUp() {
	for _, r := range t.aside {
		r.job.unsettled++
	}
	t.toSettle = append(t.toSettle, t.aside...)
	t.aside = nil
}

// waitAgain puts a run back whose row is locked.
func (t *term) waitAgain(r *run) {
	t.logLocked(r)
	j := r.job
	j.remove(&j.active, r)
	r.attempt--
	r.result = runResult{}
	r.nextAt = t.now().Add(asideFor)
	switch {
	case r.replaced != nil && r.attempt > 0: // in the same look
		t.giveUp(r, outcomeReplaced, r.replaced.Error())
	case r.replaced != nil:
		t.giveUp(r, outcomeSkipped, r.replaced.Error())
	case r.attempt > 0 || r.forced: // a forced one waits for no turn
		j.retrying = append(j.retrying, r)
	default:
		j.queue = append([]*run{r}, j.queue...)
	}
	t.touch(j)
	t.show(j)
}
