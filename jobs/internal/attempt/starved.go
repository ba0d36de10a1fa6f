package attempt

import (
	"errors"
	"fmt"
	"time"
)

// StarvedError says that what was to be called has not begun, for want of something of this process.
type StarvedError struct{ Err error }

func (e *StarvedError) Error() string {
	return fmt.Sprintf("this process lacks what it needs: %v", e.Err)
}
func (e *StarvedError) Unwrap() error { return e.Err }

// The pauses between attempts that have not begun.
const (
	minPause = 100 * time.Millisecond
	maxPause = 5 * time.Second
)

// isStarved is false for errors, which are foreign code, that panic when they are unwrapped.
func isStarved(err error) (is bool) {
	defer func() { _ = recover() }()
	_, is = errors.AsType[*StarvedError](err)
	return is
}

// pause waits, and returns false if the leadership ends before that.
func (of *Attempts) pause(length time.Duration) bool {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-of.ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
