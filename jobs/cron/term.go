package cron

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/loop"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

const (
	// The longest wait between two looks at the clock. A step of the clock is noticed within it.
	clockCheck = 10 * time.Second

	// How many jobs are looked at, and how many rows written, at a time: what has been written starts while the rest is looked at.
	cronPage = 512

	// Outcomes are written when nothing is due, or when so many wait.
	maxUnsettled = 50 * cronPage

	// A run that goes on for this long after its timeout is reported.
	overdueAfter = 10 * time.Second
)

// never is when a job is looked at that waits for nothing.
var never = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// jobTerm is a cron job during one term.
type jobTerm struct {
	*job
	last   time.Time // ticks up to here are decided on
	next   time.Time // the first one after last
	paused bool

	heldUntil time.Time // it was another group's: nothing is started before this

	// Its open runs. A row that is retrying or queued in the database stands in one of these, too.
	active    []*run // under way, or about to be started
	settling  []*run // attempts that have ended and get another one, once that is written
	retrying  []*run
	queue     []*run // the first one is next
	unsettled int    // runs whose outcome is to be written, but for those that were set aside

	wake     time.Time // when it has to be looked at
	position int       // in the heap
	failing  bool      // the latest run failed
}

// term is the scheduler during one term. All of it belongs to the goroutine that calls lead. Beside that there is one goroutine
// for each attempt under way, which ends by sending its run to ended.
type term struct {
	*Scheduler
	store  store // with the session of the term
	term   int64
	holder string
	held   func() bool // asked before each start
	stop   <-chan struct{}

	jobs   []*jobTerm
	byName map[string]*jobTerm
	heap   wakeHeap
	open   map[runKey]*run // all whose row may be open

	running int
	ended   chan *run

	toInsert []*run // rows to be made, with their outcome; the running ones are then started
	toStart  []*run // rows that are there, to be started
	toSettle []*run
	aside    []*run    // to be settled once nobody has their rows any more
	asideAt  time.Time // when the first of them was set aside
	locks    loop.Episode

	looked   time.Time // the clock at the latest look
	lookedAt time.Time // the same moment, by the clock that nobody sets
	lived    []period  // what the clock has shown before it was set back, with what it shows since as the last one
	told     <-chan string
	lostTold <-chan struct{} // told may have lost messages
	askedAt  time.Time       // when the database was last asked what somebody did to the jobs
	checked  time.Time       // when runs that do not end were last looked for
}

func newTerm(s *Scheduler, lead jobs.Lead) *term {
	t := &term{
		Scheduler: s, store: s.store, term: lead.Number, holder: lead.Holder, held: lead.Held, stop: lead.Stopping,
		byName: map[string]*jobTerm{}, open: map[runKey]*run{}, ended: make(chan *run, cronPage), lookedAt: time.Now(),
	}
	if t.held == nil {
		t.held = func() bool { return true }
	}
	for _, job := range s.jobs {
		j := &jobTerm{job: job}
		t.jobs = append(t.jobs, j)
		t.byName[job.Name] = j
	}
	return t
}

// lead runs the jobs after the claim. It returns when no attempt is under way any more.
func (t *term) lead(ctx context.Context) error {
	if t.subscribe != nil {
		subscription, err := t.subscribe(pg.Place(channel, t.store.schema))
		if err != nil {
			return err
		}
		defer subscription.Close()
		t.told, t.lostTold = subscription.Messages, subscription.Missed
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	t.store.session = keepSession(t.store.pool)
	defer t.store.session.close()
	pruning := t.startPruning(ctx)
	err := t.loop(ctx)
	cancel(err)
	for t.running > 0 {
		t.conclude(ctx, <-t.ended)
	}
	if !errors.Is(err, jobs.ErrFenced) {
		t.settleLast(ctx)
	}
	for _, j := range t.jobs {
		j.count(func(s *Stats) { s.Running, s.Waiting, s.Next = 0, 0, time.Time{} })
	}
	<-pruning
	return err
}

// loop returns nil when it has to stop. After ctx, attempts may then still be under way.
func (t *term) loop(ctx context.Context) error {
	for {
		stopping := loop.IsClosed(t.stop)
		if stopping {
			t.pulse.End() // from here on the drain is what bounds it
		} else {
			t.pulse.Beat()
		}
		// What has ended comes before what is due, or else a process that was frozen would see an overlap that was none.
		t.concludeEnded(ctx)
		if ctx.Err() != nil || stopping && t.running+len(t.toSettle) == 0 {
			return nil
		}
		if !stopping {
			if err := t.hear(ctx); err != nil {
				return err
			}
			t.look()
			if err := t.begin(ctx); err != nil {
				return err
			}
		}
		if t.untilTakeUp() == 0 {
			t.takeUp()
		}
		if stopping || t.untilDue() > 0 || len(t.toSettle) > maxUnsettled {
			if err := t.settle(ctx); err != nil {
				return err
			}
		}
		if len(t.toSettle) == 0 {
			t.sleep(ctx, stopping)
		}
	}
}

// sleep waits until there may be something to do.
func (t *term) sleep(ctx context.Context, stopping bool) {
	var timer <-chan time.Time
	stop := t.stop
	if stopping {
		stop = nil // it has been heard
		if t.running == 0 {
			return
		}
		if len(t.aside) > 0 {
			timer = t.after(t.untilTakeUp())
		}
	} else {
		wait := t.untilDue() // as of now: what was written since the look has taken its time
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
	case _, ok := <-t.told:
		t.askedAt = time.Time{}
		if !ok {
			t.told = nil // the listener has ended, and with it soon the leader
		}
	case <-t.lostTold:
		t.askedAt = time.Time{}
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

// begin writes what look has found, and starts what is to be started.
func (t *term) begin(ctx context.Context) error {
	for t.followsUnsettled() {
		if err := t.settle(ctx); err != nil {
			return err
		}
	}
	for len(t.toInsert)+len(t.toStart) > 0 {
		if !t.held() {
			return nil // the context is about to end, and the next leader finds the ticks
		}
		inserts, starts := t.toInsert[:min(cronPage, len(t.toInsert))], t.toStart[:min(cronPage, len(t.toStart))]
		t.toInsert, t.toStart = t.toInsert[len(inserts):], t.toStart[len(starts):]
		var mine, locked map[runKey]bool
		err := t.persist(ctx, "record ticks", func(ctx context.Context) (err error) {
			mine, locked, err = t.store.begin(ctx, t.term, t.holder, inserts, starts)
			return err
		})
		if err != nil {
			return err
		}
		held := t.held()
		for _, r := range inserts {
			t.begun(ctx, r, mine[r.key()], held)
		}
		for _, r := range starts {
			if locked[r.key()] {
				t.waitAgain(r)
			} else {
				t.begun(ctx, r, mine[r.key()], held)
			}
		}
	}
	t.toInsert, t.toStart = nil, nil // or else a burst's memory would stay
	return nil
}

// followsUnsettled says whether a run is to be started after another one of its job whose row still says that it runs. A leader that
// dies between the two would leave both to the next one.
func (t *term) followsUnsettled() bool {
	follows := func(r *run) bool { return r.job.unsettled > 0 }
	return slices.ContainsFunc(t.toInsert, follows) || slices.ContainsFunc(t.toStart, follows)
}

// begun goes on with a run that begin has written. mine: its row is as it was asked for.
func (t *term) begun(ctx context.Context, r *run, mine, held bool) {
	j, outcome := r.job, r.result.outcome
	switch {
	case !mine:
		j.logger.Debug("tick was decided on before, or the job is paused or another group's", "scheduled_at", r.at)
		j.remove(&j.active, r)
		j.remove(&j.queue, r)
		t.close(r)
		t.touch(j)
	case outcome == outcomeRunning && held:
		t.start(ctx, r)
	case outcome == outcomeRunning: // its row is open, and the next leader's
		j.remove(&j.active, r)
	case outcome == outcomeQueued:
		r.result = runResult{}
		t.touch(j)
	default:
		j.logger.Debug("tick not started", "scheduled_at", r.at, "outcome", outcome, "reason", r.result.failure)
		j.count(func(s *Stats) { s.conclude(outcome) })
		t.close(r)
		j.ended.Add(1)
	}
	t.show(j)
}

// touch has a job looked at soon.
func (t *term) touch(j *jobTerm) {
	j.wake = time.Time{}
	t.heap.moved(j)
}

// close forgets a run whose row is closed, or nobody's.
func (t *term) close(r *run) { delete(t.open, r.key()) }

// show updates what others see of the job.
func (t *term) show(j *jobTerm) {
	j.count(func(s *Stats) {
		s.Running, s.Waiting, s.Paused = int64(len(j.active)), int64(len(j.queue)+len(j.retrying)+len(j.settling)), j.paused
		if s.Next = j.next.Add(j.delay); j.stopped() {
			s.Next = time.Time{}
		}
	})
}
