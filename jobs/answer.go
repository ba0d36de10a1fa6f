package jobs

import (
	"cmp"
	"errors"
	"syscall"
	"time"

	"github.com/pgsolo/pgsolo/jobs/internal/attempt"
)

// RetryAfter makes the error of a handler or a job ask for the next attempt after wait, instead of the backoff. The
// attempt counts. A nil err is one without a reason.
func RetryAfter(wait time.Duration, err error) error {
	return &retryAfterError{max(0, wait), cmp.Or(err, errAskedAgain)}
}

// Discard makes the error of a handler or a job final: the event is a dead letter at once, the run has failed. A nil
// err is one without a reason.
func Discard(err error) error { return &discardError{cmp.Or(err, errDiscarded)} }

var (
	errAskedAgain = errors.New("the handler asks for another attempt")
	errDiscarded  = errors.New("the handler discards the event")
)

type retryAfterError struct {
	wait time.Duration
	err  error
}

func (e *retryAfterError) Error() string { return e.err.Error() }
func (e *retryAfterError) Unwrap() error { return e.err }

type discardError struct{ err error }

func (e *discardError) Error() string { return e.err.Error() }
func (e *discardError) Unwrap() error { return e.err }

// ErrAllTaken, wrapped, says to Starved that other attempts have all that this process may have of something.
var ErrAllTaken = errors.New("other attempts have all of them")

// Starved is for the error of an action that could not begin. Where that is for want of something that this process has
// too little of, files, processes, memory or what ErrAllTaken says, the attempt counts for nothing, and is made again
// until the action begins or the leadership ends: it says nothing about the event or the job. Other errors are returned
// as they are.
func Starved(err error) error {
	for _, lack := range []error{
		syscall.EMFILE, syscall.ENFILE, syscall.EAGAIN, syscall.ENOMEM, syscall.ENOBUFS, ErrAllTaken,
	} {
		if errors.Is(err, lack) {
			return &attempt.StarvedError{Err: err}
		}
	}
	return err
}

// Asked returns what an error asks for: by Discard that it is final, or by RetryAfter to wait, if has is true. Errors
// are foreign code: one that panics when it is unwrapped asks for nothing.
func Asked(failure error) (wait time.Duration, has, final bool) {
	defer func() { _ = recover() }()
	if _, final = errors.AsType[*discardError](failure); final {
		return 0, false, true
	}
	if asked, ok := errors.AsType[*retryAfterError](failure); ok {
		return asked.wait, true, false
	}
	return 0, false, false
}
