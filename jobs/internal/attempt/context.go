package attempt

import (
	"context"
	"sync"
	"time"
)

// attemptContext is the context of one attempt: it ends at its deadline, with its parent, or when the attempt is over.
// Most handlers of small events never wait for it, so the timer and the registration with the parent, which cost more
// than all the rest of an attempt, are made by the standard library when more is first asked than whether it has ended.
// It is small because one is allocated for each attempt: a handler may keep it for as long as it likes.
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
	return &attemptContext{of: of, due: time.Since(of.began) + of.timeout}
}

// complete returns the standard library's context for the attempt, and makes it if need be. Once it exists every answer
// comes from it, so that no two answers disagree: before that, the only one given is that the attempt still has time.
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
	if a.finished { // before its deadline, as far as was asked
		ctx, cancel = context.WithCancel(a.of.ctx)
		cancel()
	} else {
		ctx, cancel = context.WithDeadlineCause(a.of.ctx, a.deadline(), &timeoutError{a.of.timeout})
	}
	a.full = &fullContext{ctx, cancel}
	return ctx
}

// finish ends the context, and with it those derived from it, lets go of the timer and the parent, and says how long it
// took.
func (a *attemptContext) finish() (took time.Duration) {
	took = time.Since(a.of.began) - (a.due - a.of.timeout)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.finished = true
	if a.full != nil {
		a.full.cancel()
	}
	return took
}

func (a *attemptContext) deadline() time.Time { return a.of.began.Add(a.due) }

func (a *attemptContext) Deadline() (time.Time, bool) {
	if sooner, ok := a.of.ctx.Deadline(); ok && sooner.Before(a.deadline()) {
		return sooner, true
	}
	return a.deadline(), true
}

func (a *attemptContext) Done() <-chan struct{} { return a.complete().Done() }

// Value has to come from the complete context: that is how the standard library finds the context to register a child
// with, and the cause.
func (a *attemptContext) Value(key any) any { return a.complete().Value(key) }

func (a *attemptContext) Err() error {
	a.mu.Lock()
	untouched := a.full == nil && !a.finished
	a.mu.Unlock()
	if untouched && a.of.ctx.Err() == nil && time.Since(a.of.began) < a.due {
		return nil
	}
	return a.complete().Err()
}
