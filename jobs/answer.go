package jobs

import (
	"cmp"
	"errors"
	"time"
)

// Asked reads what the handler's error asks for. Errors are foreign code: one that panics asks for nothing.
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

// RetryAfter makes a handler's error ask for the next attempt after wait, instead of the backoff. The attempt counts.
func RetryAfter(wait time.Duration, err error) error {
	return &retryAfterError{max(0, wait), cmp.Or(err, errAskedAgain)}
}

// Discard makes a handler's error final: the event is a dead letter at once.
func Discard(err error) error { return &discardError{cmp.Or(err, errDiscarded)} }

// For handlers that give no reason.
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
