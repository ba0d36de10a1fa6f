package attempt

import (
	"context"
	"sync"
	"time"
)

// Attempts are what the attempts of one worker have in common.
type Attempts struct {
	Ctx     context.Context
	timeout time.Duration
	began   time.Time     // of the first: the time since then is cheaper to take than the time, and half its size
	Took    time.Duration // the latest, for whoever made it
	ended   time.Duration // since began, of the latest
	Follows bool          // the next one begins when the latest has ended: that spares a look at the clock
}

func New(ctx context.Context, timeout time.Duration) *Attempts {
	return &Attempts{Ctx: ctx, timeout: timeout, began: time.Now()}
}

// attemptContext is the context of one attempt: it ends at its deadline, with its parent, or when the attempt is over. Most
// handlers of small events never wait for it, so the timer and the registration with the parent, which cost more than all the
// rest of an attempt, are made by the standard library when somebody first asks for more than whether it has ended. It is
// small because one is allocated for each attempt: a handler may keep it for as long as it likes.
//
// Only the worker that made it calls finish. All else may be called from any goroutine, also after finish.
type attemptContext struct {
	of  *Attempts
	due time.Duration // since of.began

	mu       sync.Mutex // guards all below
	full     *fullContext
	finished bool
}

type fullContext struct {
	context.Context
	cancel context.CancelFunc
}

func (of *Attempts) newContext() *attemptContext {
	begins := of.ended
	if !of.Follows {
		begins = time.Since(of.began)
	}
	of.Follows = false
	return &attemptContext{of: of, due: begins + of.timeout}
}

// complete returns the standard library's context for the attempt, and makes it if need be. Once it exists every answer comes
// from it, so that no two answers disagree: before that, the only one given is that the attempt still has time.
func (a *attemptContext) complete() context.Context {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.full != nil {
		return a.full.Context
	}
	var (
		ctx    context.Context
		cancel context.CancelFunc
	)
	if a.finished { // before its deadline, as far as anybody asked
		ctx, cancel = context.WithCancel(a.of.Ctx)
		cancel()
	} else {
		ctx, cancel = context.WithDeadlineCause(a.of.Ctx, a.deadline(), &timeoutError{a.of.timeout})
	}
	a.full = &fullContext{ctx, cancel}
	return ctx
}

// finish ends the context, and with it those derived from it, lets go of the timer and the parent, and takes the time.
func (a *attemptContext) finish() {
	a.of.ended = time.Since(a.of.began)
	a.of.Took = a.of.ended - (a.due - a.of.timeout)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.finished = true
	if a.full != nil {
		a.full.cancel()
	}
}

func (a *attemptContext) deadline() time.Time { return a.of.began.Add(a.due) }

func (a *attemptContext) Deadline() (time.Time, bool) {
	if sooner, ok := a.of.Ctx.Deadline(); ok && sooner.Before(a.deadline()) {
		return sooner, true
	}
	return a.deadline(), true
}

func (a *attemptContext) Done() <-chan struct{} { return a.complete().Done() }

// Value has to come from the complete context: that is how the standard library finds the context to register a child with,
// and the cause.
func (a *attemptContext) Value(key any) any { return a.complete().Value(key) }

func (a *attemptContext) Err() error {
	a.mu.Lock()
	untouched := a.full == nil && !a.finished
	a.mu.Unlock()
	if untouched && a.of.Ctx.Err() == nil && time.Since(a.of.began) < a.due {
		return nil
	}
	return a.complete().Err()
}
