package jobs

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime/debug"
	"time"
)

// panicError is the failure of a function that panicked.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// timeoutError is the failure of an attempt whose time was up.
type timeoutError struct{ timeout time.Duration }

func (e *timeoutError) Error() string {
	return fmt.Sprintf("not done within its timeout of %s", e.timeout)
}

// attempt makes a single one.
func attempt(ctx context.Context, timeout time.Duration, do func(context.Context) error) error {
	return newAttempts(ctx, timeout).attempt(do)
}

// attempt calls do with a context that ends after the timeout. A panic becomes a *panicError; an error after the time was up is
// wrapped in a *timeoutError. It returns when do returns: a function that ignores its context holds its worker.
func (of *attempts) attempt(do func(context.Context) error) (err error) {
	a := of.newContext()
	defer a.finish()
	defer func() {
		if value := recover(); value != nil {
			err = &panicError{value, debug.Stack()}
		}
	}()
	if err = do(a); err == nil {
		return nil
	}
	if late, ok := context.Cause(a).(*timeoutError); ok {
		return fmt.Errorf("%w: %w", late, err)
	}
	return err
}

// next says what follows the failed attempt: another one after a wait, or none.
func (r Retry) next(attempt int, failure error) (wait time.Duration, dead bool) {
	asked, has, final := answer(failure)
	switch {
	case final || attempt >= r.Attempts:
		return 0, true
	case has:
		return r.later(asked), false
	}
	return r.delay(attempt), false
}

// delay returns the wait for the retry that follows the failed attempt, give or take the jitter, so that events which failed together
// do not come back together.
func (r Retry) delay(attempt int) time.Duration {
	wait := r.MaxBackoff
	if shift := attempt - 1; shift < 62 && r.Backoff <= r.MaxBackoff>>shift {
		wait = r.Backoff << shift
	}
	return scale(wait, 1+r.jitter()*(2*rand.Float64()-1))
}

// later adds jitter to the wait that a handler has asked for, and never takes from it.
func (r Retry) later(wait time.Duration) time.Duration {
	return (scale(wait, 1+r.jitter()*rand.Float64()) + time.Millisecond - 1).Truncate(time.Millisecond) // as it is stored
}

func (r Retry) jitter() float64 {
	if r.Jitter == 0 {
		return 0.1
	}
	return max(0, r.Jitter)
}

// scale bounds the product to what can be added to a date.
func scale(d time.Duration, factor float64) time.Duration {
	return time.Duration(min(float64(d)*factor, math.MaxInt64/2))
}

// answer reads what the handler's error asks for. Errors are foreign code: one that panics asks for nothing.
func answer(failure error) (wait time.Duration, has, final bool) {
	defer func() { _ = recover() }()
	if _, final = errors.AsType[*discardError](failure); final {
		return 0, false, true
	}
	if asked, ok := errors.AsType[*retryAfterError](failure); ok {
		return asked.wait, true, false
	}
	return 0, false, false
}

// filter asks the handler's When. Its error, or panic, names it.
func (h *Handler) filter(event Event) (pass bool, err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &panicError{value, debug.Stack()}
		}
		if err != nil {
			err = fmt.Errorf("when: %w", err)
		}
	}()
	return h.When(event)
}
