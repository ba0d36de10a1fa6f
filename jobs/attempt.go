package jobs

import (
	"context"
	"fmt"
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

// delay returns how long to wait before the retry that follows the failed attempt, give or take a tenth, so that events which
// failed together do not come back together.
func (r Retry) delay(attempt int) time.Duration {
	wait := r.MaxBackoff
	if shift := attempt - 1; shift < 62 && r.Backoff <= r.MaxBackoff>>shift {
		wait = r.Backoff << shift
	}
	return time.Duration(float64(wait) * (0.9 + 0.2*rand.Float64()))
}
