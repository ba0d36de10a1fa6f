// Package trial finds the event that ends its leader: the process dies while it is under way, so that no attempt fails.
//
// A leader writes down that it has begun before any event is under way, and that its process is alive when it has to
// stop. If two in a row have ended without that word, on one start of the server, and neither the lowest id that is not
// done nor what was due has moved, then what the handler had under way is in its way again, first of all. The next
// leader tries that one by one, and writes down which event is alone. A leader that ends then counts against that
// event, and after Retry.Attempts of those, at least three, it is a dead letter. An attempt that ends by itself clears
// it.
//
// Handlers of one runner take turns with that, so that none is blamed for the event of another one, and each begins
// with anything else only when it is through. A handler of which something has moved goes on beside them, as always,
// and so does one that was another group's when the term began: each group counts its own leaders. An event that is
// tried keeps others waiting at most twice as long as the term before has lasted, between ten seconds and an hour: one
// that ends its leader later than that is not found.
//
// Planned stops, a session that was ended while its process lives, and restarts of the server count nothing. What does,
// although the event has no part in it: a machine that dies, or a process that is killed or cut off from the server, as
// many times in a row, while the event is tried. Nor is a message of a plain channel told from it that ends the process
// at that moment, or a cron job: an end with a job under way counts only a third, since that may be what ends the
// leaders.
//
// A handler whose row another session has locked, an operator's transaction for example, waits for that by itself, ten
// seconds at most. Each statement for several handlers leaves such rows out, at the end of a term too.
//
// A term that finds nothing writes one row per handler when it begins, a second later, and when it ends, and nothing in
// between.
package trial

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/loop"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

const (
	// How many leaders in a row have to end, with nothing moved, before events are tried one by one.
	stuckTerms = 2

	// At least so many leaders have to end with an event alone before that is given up, whatever its attempts.
	minEnds = 3

	// At most so many events of the log are tried one by one in a term, and as many deliveries that were due.
	maxTried = 1000

	// How long an event may keep others waiting while it is alone: twice as long as the term before has lasted, within
	// these bounds.
	minAlone, maxAlone = 10 * time.Second, time.Hour

	// How long after its beginning a term judges what has moved, if that does not decide how it begins.
	judgeAfter = time.Second

	beginWithin = 2 * pg.TryTimeout // a term that cannot write by then, tries nothing

	lastWrite = 200 * time.Millisecond // once a leader has to stop at once
)

// Trials are those of the handlers of one runner in one term.
type Trials struct {
	store  store
	logger hclog.Logger
	known  chan struct{} // closed when it is known what each handler may have to try, or will not be, but for late ones
	alone  chan struct{} // capacity 1: taken while an event is alone

	// late has the handlers whose rows another session has locked: closed when that is known of this one, too. It is
	// written before known is closed.
	late map[string]chan struct{}

	mu     sync.Mutex        // guards all below
	found  map[string]*state // what may have to be tried
	trials map[string]*Trial
}

// New makes the trials of a term of a group.
func New(db pg.DB, group string, term int64, logger hclog.Logger) *Trials {
	return &Trials{
		store: store{db, group, term}, logger: logger, known: make(chan struct{}), alone: make(chan struct{}, 1),
		late: map[string]chan struct{}{}, found: map[string]*state{}, trials: map[string]*Trial{},
	}
}

// Run finds out what the handlers have to try, and at the end of the leadership says that this process is alive.
//
// That the term has begun is written before anything is under way. Whether something has moved is judged later, unless
// it decides how the handlers begin: a leader that ends before it has judged is counted by the next one, which compares
// with what was judged last.
//
// It calls began when handlers need not wait for it any more.
func (t *Trials) Run(ctx context.Context, lead *loop.Leadership, handlers []string, began func()) error {
	locked, judged, err := t.begin(ctx, handlers, false)
	for _, handler := range locked {
		t.late[handler] = make(chan struct{})
	}
	close(t.known)
	began()
	if err != nil {
		t.logNotBegun(ctx, err)
		return nil
	}
	var late sync.WaitGroup // ends with the leadership
	defer late.Wait()
	for _, handler := range locked {
		late.Go(func() { t.beginLate(lead, handler) })
	}
	if !judged {
		t.judge(ctx, lead, slices.DeleteFunc(slices.Clone(handlers), func(handler string) bool {
			return slices.Contains(locked, handler)
		}))
	}
	<-lead.Starting.Done()
	within := pg.TryTimeout
	if ctx.Err() != nil {
		ctx, within = context.WithoutCancel(ctx), lastWrite
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	// The sessions of the pool may have ended with the leadership, each of which fails once.
	all, err := t.store.markEnded(ctx, handlers)
	for err != nil && !pg.IsNotAllowed(err) && ctx.Err() == nil {
		all, err = t.store.markEnded(ctx, handlers)
	}
	if err != nil || !all { // a handover does not wait for who has locked a row
		t.logger.Debug("not written of all handlers that the leader is alive at its end", "error", err)
	}
	return nil
}

// beginLate is begin for a handler whose row is locked: it waits for that, and for no other one.
func (t *Trials) beginLate(lead *loop.Leadership, handler string) {
	_, judged, err := t.begin(lead.Starting, []string{handler}, true)
	close(t.late[handler])
	if err != nil {
		t.logNotBegun(lead.Starting, err, "handler", handler)
	} else if !judged {
		t.judge(lead.Starting, lead, []string{handler})
	}
}

func (t *Trials) logNotBegun(ctx context.Context, err error, args ...any) {
	if ctx.Err() == nil {
		if !pg.IsNotAllowed(err) { // whose error says what to grant. One without an answer is the end of its time.
			args = append(args, "remedy", "look in pg_stat_activity and pg_locks for a session "+
				"that has locked rows of handler_term or handler_cut_off")
		}
		t.logger.Warn("not written down what the leader begins with, so that an event which ends it is not found",
			append(args, "error", err)...)
	}
}

// begin returns when it is judged what there is to try, or when that is left for later. It waits for rows that another
// session has locked, but not for ever, or returns whose they are.
func (t *Trials) begin(ctx context.Context, handlers []string, wait bool) (locked []string, judged bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, beginWithin)
	defer cancel()
	err = t.store.db.PersistAllowed(ctx, t.logger, "look for events that end leaders", func(ctx context.Context) error {
		free, lockedNow, err := t.store.begin(ctx, handlers, wait)
		if err != nil || free {
			locked = lockedNow
			return err
		}
		found, all, err := t.store.judge(ctx, handlers, wait)
		if judged = err == nil; judged {
			locked = slices.DeleteFunc(slices.Clone(handlers), func(handler string) bool { return all[handler] })
			t.know(found)
		}
		return err
	})
	return locked, judged, err
}

// know takes in what was found.
func (t *Trials) know(found map[string]*state) {
	t.mu.Lock()
	maps.Copy(t.found, found)
	t.mu.Unlock()
	for handler, f := range found {
		if f.suspects() {
			t.logger.Warn("leaders have ended while events were under way, which are tried one by one",
				"handler", handler, "leaders", f.stuck)
		}
	}
}

// judge writes down what has moved, once the handlers have begun, but for those whose rows are locked.
func (t *Trials) judge(ctx context.Context, lead *loop.Leadership, handlers []string) {
	select {
	case <-lead.Starting.Done():
		return
	case <-time.After(judgeAfter):
	}
	err := pg.Try(ctx, func(ctx context.Context) error { _, _, err := t.store.judge(ctx, handlers, false); return err })
	if err != nil {
		t.logger.Debug("not written what has moved: the next leader compares with the one before", "error", err)
	}
}

// Of returns the trial of a handler, once it is known, the same each time; nil where there is nothing to try, as
// for nil Trials. under is how many events it may have under way.
func (t *Trials) Of(ctx context.Context, handler string, under, attempts int) *Trial {
	if t == nil {
		return nil
	}
	select {
	case <-t.known:
	case <-ctx.Done():
		return nil
	}
	if late, ok := t.late[handler]; ok {
		select {
		case <-late:
		case <-ctx.Done():
			return nil
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if trial, ok := t.trials[handler]; ok {
		return trial
	}
	f := t.found[handler]
	if f == nil || !f.suspects() {
		return nil
	}
	n := min(maxTried, 2*under+16)
	alone := max(minAlone, min(maxAlone, 2*f.lasted))
	t.trials[handler] = &Trial{
		of: t, handler: handler, logger: t.logger.With("handler", handler),
		ends: f.ends, most: max(minEnds, attempts), limit: alone,
		left: map[bool]int{false: n, true: n}, over: make(chan struct{}),
	}
	return t.trials[handler]
}

// Trial is that of a handler. A nil Trial lets everything pass. It may be used by any goroutine.
type Trial struct {
	of      *Trials
	handler string
	logger  hclog.Logger
	most    int
	limit   time.Duration

	mu   sync.Mutex     // guards all below
	ends map[int64]ends // leaders that ended with that event alone
	left map[bool]int   // how many are to be tried; true: of the deliveries
	open int            // that were entered and are not over
	over chan struct{}  // closed, and made anew, whenever open becomes zero
}

// Enter is to be called before an event is under way. It waits for its turn where the event is to be tried alone: then
// there is a pass, to be given back when the attempt has ended. poison says that the event is given up. It returns
// false when ctx is done.
func (t *Trial) Enter(ctx context.Context, event int64, delivery bool) (pass *Pass, poison error, ok bool) {
	if t == nil { // by far the most, at no cost: what follows would take memory for each event
		return nil, nil, true
	}
	return t.enter(ctx, event, delivery)
}

func (t *Trial) enter(ctx context.Context, event int64, delivery bool) (pass *Pass, poison error, ok bool) {
	tried, ends := t.admit(event, delivery)
	if !tried {
		return nil, nil, t.awaitOthers(ctx)
	}
	pass = &Pass{trial: t, event: event}
	if ends.reach(t.most) {
		pass.Leave(ctx, true)
		return nil, jobs.Discard(fmt.Errorf("its leader ended %d times while it alone was under way", ends.all)), true
	}
	select {
	case t.of.alone <- struct{}{}:
	case <-ctx.Done():
		pass.Leave(ctx, false)
		return nil, nil, false
	}
	pass.alone = true
	err := pg.Try(ctx, func(ctx context.Context) error { return t.of.store.markAlone(ctx, t.handler, event) })
	if err != nil {
		t.logger.Debug("not written which event is tried alone", "event_id", event, "error", err)
	}
	pass.timer = time.AfterFunc(t.limit, func() {
		t.logger.Warn("an event that is tried alone takes long: others go on beside it", "event_id", event)
		pass.Leave(ctx, false)
	})
	return pass, nil, true
}

// Passes says whether Enter would let the event pass at once, without a pass.
func (t *Trial) Passes(event int64, delivery bool) bool {
	if t == nil {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.left[delivery] == 0 && t.ends[event].all == 0 && t.open == 0
}

func (t *Trial) admit(event int64, delivery bool) (tried bool, against ends) {
	t.mu.Lock()
	defer t.mu.Unlock()
	against = t.ends[event]
	if t.left[delivery] == 0 && against.all == 0 {
		return false, ends{}
	}
	t.left[delivery] = max(0, t.left[delivery]-1)
	t.open++
	return true, against
}

// awaitOthers waits until nothing of the handler is tried: what has not been under way does not begin beside that.
func (t *Trial) awaitOthers(ctx context.Context) bool {
	for {
		t.mu.Lock()
		open, over := t.open, t.over
		t.mu.Unlock()
		if open == 0 {
			return ctx.Err() == nil
		}
		select {
		case <-over:
		case <-ctx.Done():
			return false
		}
	}
}

// Pass is for one event that is tried alone.
type Pass struct {
	trial *Trial
	event int64
	alone bool
	timer *time.Timer
	once  sync.Once
}

// Leave ends it; a nil Pass has nothing to end, and neither has one that has ended. concluded: the attempt has ended by
// itself.
func (p *Pass) Leave(ctx context.Context, concluded bool) {
	if p == nil {
		return
	}
	if p.timer != nil {
		p.timer.Stop()
	}
	p.once.Do(func() {
		t := p.trial
		if p.alone || concluded {
			err := pg.Try(ctx, func(ctx context.Context) error {
				return t.of.store.clearAlone(ctx, t.handler, p.event, concluded)
			})
			if err != nil {
				t.logger.Debug("not written that an event is not alone any more", "event_id", p.event, "error", err)
			}
		}
		if p.alone {
			<-t.of.alone
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		if concluded {
			delete(t.ends, p.event)
		}
		if t.open--; t.open == 0 {
			close(t.over)
			t.over = make(chan struct{})
		}
	})
}
