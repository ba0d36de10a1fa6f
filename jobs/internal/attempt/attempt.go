// Package attempt calls the functions of handlers and cron jobs: with a timeout, and so that a panic or runtime.Goexit
// is a failure like any other. A function that ignores its context is waited for.
package attempt

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/jobs/internal/text"
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

// Attempts are what the attempts of one worker have in common. Only its goroutine uses them.
type Attempts struct {
	ctx     context.Context
	timeout time.Duration
	began   time.Time // the time since then is cheaper to take than the time, and half its size
	logger  hclog.Logger
}

// New makes the Attempts of a worker. ctx ends with the leadership, and each attempt ends after the timeout. Those that
// cannot begin are made again, which is logged.
func New(ctx context.Context, timeout time.Duration, logger hclog.Logger) *Attempts {
	return &Attempts{ctx: ctx, timeout: timeout, began: time.Now(), logger: logger}
}

// Stopped says whether the leadership has ended: an attempt that failed since was none.
func (of *Attempts) Stopped() bool { return of.ctx.Err() != nil }

// Context ends with the leadership.
func (of *Attempts) Context() context.Context { return of.ctx }

// Do makes a single attempt. See Attempts.Do.
func Do(
	ctx context.Context, timeout time.Duration, logger hclog.Logger, do func(context.Context) error,
) error {
	_, err := New(ctx, timeout, logger).Do(do)
	return err
}

// Do calls do with a context that ends after the timeout, and says how long that took. A panic becomes a *PanicError;
// an error after the time was up is wrapped in a *timeoutError. It returns when do returns: a function that ignores its
// context holds its worker. It does not return where do calls runtime.Goexit: then the failure is ErrExited. Where do
// has not begun, for want of something of this process, it is called again.
func (of *Attempts) Do(do func(context.Context) error) (took time.Duration, err error) {
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		took, err = of.once(do)
		if err == nil || !isStarved(err) {
			return took, err
		}
		if pause == minPause {
			of.logger.Error("an attempt cannot begin, is made again, and does not count", "error", text.Error(err))
		}
		if !of.pause(pause) {
			return took, err
		}
	}
}

func (of *Attempts) once(do func(context.Context) error) (took time.Duration, err error) {
	a := of.newContext()
	defer func() { took = a.finish() }()
	defer func() {
		if value := recover(); value != nil {
			err = &PanicError{value, debug.Stack()}
		}
	}()
	if err = do(a); err == nil {
		return 0, nil
	}
	if late, ok := context.Cause(a).(*timeoutError); ok {
		err = fmt.Errorf("%w: %w", late, err)
	}
	return 0, err
}
