package jobs

import (
	"context"
	"sync"
	"time"
)

// attemptContext is the context of one attempt: it ends at its deadline, with its parent, or when the attempt is over. Most
// handlers of small events never wait for it, so the timer and the registration with the parent, which cost more than all the
// rest of an attempt, are made by the standard library when somebody first asks for more than whether it has ended.
//
// Only the worker that made it calls finish. All else may be called from any goroutine, also after finish.
type attemptContext struct {
	parent   context.Context
	deadline time.Time
	timeout  time.Duration

	mu       sync.Mutex // guards all below
	full     context.Context
	cancel   context.CancelFunc // of full
	finished bool
}

func newAttemptContext(parent context.Context, now time.Time, timeout time.Duration) *attemptContext {
	return &attemptContext{parent: parent, deadline: now.Add(timeout), timeout: timeout}
}

// complete returns the standard library's context for the attempt, and makes it if need be. Once it exists every answer comes
// from it, so that no two answers disagree: before that, the only one given is that the attempt still has time.
func (a *attemptContext) complete() context.Context {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.full != nil:
	case a.finished: // before its deadline, as far as anybody asked
		a.full, a.cancel = context.WithCancel(a.parent)
		a.cancel()
	default:
		a.full, a.cancel = context.WithDeadlineCause(a.parent, a.deadline, &timeoutError{a.timeout})
	}
	return a.full
}

// finish ends the context, and with it those derived from it, and lets go of the timer and the parent.
func (a *attemptContext) finish() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.finished = true
	if a.cancel != nil {
		a.cancel()
	}
}

func (a *attemptContext) Deadline() (time.Time, bool) {
	if sooner, ok := a.parent.Deadline(); ok && sooner.Before(a.deadline) {
		return sooner, true
	}
	return a.deadline, true
}

func (a *attemptContext) Done() <-chan struct{} { return a.complete().Done() }

// Value has to come from the complete context: that is how the standard library finds the context to register a child with,
// and the cause.
func (a *attemptContext) Value(key any) any { return a.complete().Value(key) }

func (a *attemptContext) Err() error {
	a.mu.Lock()
	untouched := a.full == nil && !a.finished
	a.mu.Unlock()
	if untouched && a.parent.Err() == nil && time.Now().Before(a.deadline) {
		return nil
	}
	return a.complete().Err()
}
