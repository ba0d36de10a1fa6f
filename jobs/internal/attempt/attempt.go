package attempt

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// PanicError is the failure of a function that panicked.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// ErrExited is the failure of a function that called runtime.Goexit.
var ErrExited = errors.New("the function ended its goroutine")

// timeoutError is the failure of an attempt whose time was up.
type timeoutError struct{ timeout time.Duration }

func (e *timeoutError) Error() string {
	return fmt.Sprintf("not done within its timeout of %s", e.timeout)
}

// Do makes a single one.
func Do(ctx context.Context, timeout time.Duration, do func(context.Context) error) error {
	return New(ctx, timeout).Do(do)
}

// Do calls do with a context that ends after the timeout. A panic becomes a *panicError; an error after the time was up is
// wrapped in a *timeoutError. It returns when do returns: a function that ignores its context holds its worker.
func (of *Attempts) Do(do func(context.Context) error) (err error) {
	a := of.newContext()
	defer a.finish()
	defer func() {
		if value := recover(); value != nil {
			err = &PanicError{value, debug.Stack()}
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
