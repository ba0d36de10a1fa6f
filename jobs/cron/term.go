package cron

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/cron/internal/clock"
	"github.com/pgsolo/pgsolo/jobs/cron/internal/inbox"
	"github.com/pgsolo/pgsolo/jobs/cron/internal/rows"
	"github.com/pgsolo/pgsolo/jobs/internal/loop"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// The longest wait between two scans. A step of the clock is noticed within it.
const clockCheck = 10 * time.Second

// term is the scheduler during one leadership. All of it belongs to the goroutine that calls lead. Beside that there is
// one goroutine for each attempt under way, which ends by sending its run to ended, and one that prunes the history.
type term struct {
	*Scheduler
	leadership *loop.Leadership
	store      rows.Store // with the session of the term

	clock  *clock.Clock
	outbox *outbox
	inbox  inbox.Inbox
	jobs   []*jobTerm
	byName map[string]*jobTerm
	heap   wakeHeap // of all jobs

	held           []*jobTerm // jobs that are another group's
	heldPolled     time.Time  // when it was last asked whether they still are
	running        int        // attempts under way
	ended          chan *run
	overdueChecked time.Time // when runs that do not end were last looked for
}

func newTerm(s *Scheduler, leadership *loop.Leadership) *term {
	t := &term{
		Scheduler: s, leadership: leadership, store: s.store.Until(leadership.Stopping),
		clock: clock.New(s.now), outbox: newOutbox(), byName: map[string]*jobTerm{}, ended: make(chan *run, pageSize),
	}
	for _, job := range s.jobs {
		j := newJobTerm(job, t.clock, t.outbox)
		t.jobs = append(t.jobs, j)
		t.byName[job.Name] = j
	}
	return t
}

// lead runs the jobs after the claim. It returns when no attempt is under way any more.
func (t *term) lead(ctx context.Context) error {
	if t.subscribe != nil {
		subscription, err := t.subscribe(t.store.Channel())
		if err != nil {
			return err
		}
		defer subscription.Close()
		t.inbox.Subscribe(subscription)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	kept, release := t.store.KeepSession()
	defer release()
	t.store = kept
	var pruning sync.WaitGroup
	pruning.Go(func() { t.pruner(t.leadership.Term).run(ctx) })
	err := t.loop(ctx)
	cancel(err)
	for t.running > 0 {
		t.conclude(ctx, <-t.ended)
	}
	if !errors.Is(err, jobs.ErrFenced) {
		t.settleLast(ctx)
	}
	for _, j := range t.jobs {
		j.end()
	}
	pruning.Wait()
	return err
}

// loop returns nil when it has to stop. After ctx, attempts may then still be under way.
func (t *term) loop(ctx context.Context) error {
	for {
		stopping := ctx.Err() == nil && t.leadership.Stopping()
		if stopping {
			t.pulse.End() // from here on the drain is what bounds it
		} else {
			t.pulse.Mark()
		}
		// What has ended comes before what is due, or else a process that was frozen would see an overlap that was
		// none.
		t.concludeEnded(ctx)
		if ctx.Err() != nil || stopping && t.running+len(t.outbox.toSettle) == 0 {
			return nil
		}
		if !stopping {
			if err := work(ctx, t); err != nil && !errors.Is(err, pg.ErrStopping) {
				return err
			}
		}
		if t.outbox.untilRetry() == 0 {
			t.outbox.retryDeferred()
		}
		if stopping || t.untilDue() > 0 || len(t.outbox.toSettle) > maxUnsettled {
			if err := t.settle(ctx); err != nil {
				return err
			}
		}
		if len(t.outbox.toSettle) == 0 {
			t.sleep(ctx, stopping)
		}
	}
}

// work is what nobody does any more at a handover.
func work(ctx context.Context, t *term) error {
	compare := func(ctx context.Context) error { return compareClock(ctx, t) }
	for _, do := range []func(context.Context) error{t.readCommands, t.claimHeld, compare, t.begin} {
		if err := do(ctx); err != nil {
			return err
		}
	}
	return nil
}

// sleep waits until there may be something to do.
func (t *term) sleep(ctx context.Context, stopping bool) {
	var timer <-chan time.Time
	stop := t.leadership.Starting.Done()
	if stopping {
		stop = nil // the loop knows
		if t.running == 0 {
			return
		}
		if len(t.outbox.deferred) > 0 {
			timer = t.after(t.outbox.untilRetry())
		}
	} else {
		wait := t.untilDue() // as of now: what was written since the scan has taken its time
		if wait == 0 {
			return
		}
		timer = t.after(wait)
	}
	select {
	case <-ctx.Done():
	case <-stop:
	case r := <-t.ended:
		t.conclude(ctx, r)
	case _, open := <-t.inbox.Notified:
		t.inbox.Notify(open)
	case <-t.inbox.Missed:
		t.inbox.Notify(true)
	case <-timer:
	}
}

func (t *term) concludeEnded(ctx context.Context) {
	for {
		select {
		case r := <-t.ended:
			t.conclude(ctx, r)
		default:
			return
		}
	}
}
