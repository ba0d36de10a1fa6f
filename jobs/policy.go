package jobs

import (
	"cmp"
	"math"
	"math/rand/v2"
	"time"
)

// Next says what follows the failed attempt: another one after a wait, or none.
func (r Retry) Next(attempt int, failure error) (wait time.Duration, dead bool) {
	asked, has, final := Asked(failure)
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

// Rate bounds how often attempts begin: at most Events in any Per, spread evenly, over all workers of the handler. The zero Rate
// bounds nothing.
type Rate struct {
	Events int
	Per    time.Duration // default 1 s
}

// Retry says what happens to an event whose attempt failed: the n-th retry waits min(MaxBackoff, Backoff * 2^(n-1)), give or
// take Jitter; after the last attempt the event is a dead letter. What the handler's error asks for comes first: see RetryAfter
// and Discard.
type Retry struct {
	Attempts   int           // in all, the first included; default 10
	Backoff    time.Duration // default 1 s
	MaxBackoff time.Duration // default 1 h
	Jitter     float64       // a fraction of the wait, below 1; default 0.1, negative for none
}

// Breaker pauses a handler whose target is down, instead of trying every event against it. After Failures failed attempts in
// a row nothing is attempted for Pause; then one event is. If it fails too, the pause doubles, up to MaxPause; if it does not, the
// handler goes on. The zero Breaker never pauses.
type Breaker struct {
	Failures int           // 0: no breaker
	Pause    time.Duration // default 1 s
	MaxPause time.Duration // default 1 min
}

func (r Retry) WithDefaults() (Retry, error) {
	r.Attempts = cmp.Or(r.Attempts, 10)
	r.Backoff = cmp.Or(r.Backoff, time.Second)
	r.MaxBackoff = cmp.Or(r.MaxBackoff, max(time.Hour, r.Backoff))
	r.Jitter = cmp.Or(r.Jitter, 0.1)
	switch {
	case r.Attempts < 0:
		return r, NewFieldError("Retry.Attempts", "%d is negative", r.Attempts)
	case r.Backoff < 0:
		return r, NewFieldError("Retry.Backoff", "%s is negative", r.Backoff)
	case r.MaxBackoff < r.Backoff:
		return r, NewFieldError("Retry.MaxBackoff", "%s is less than Backoff %s", r.MaxBackoff, r.Backoff)
	case !(r.Jitter < 1):
		return r, NewFieldError("Retry.Jitter", "%g: want a fraction below 1", r.Jitter)
	}
	return r, nil
}

func (b Breaker) WithDefaults() (Breaker, error) {
	if b.Failures == 0 && (b.Pause != 0 || b.MaxPause != 0) {
		return b, NewFieldError("Breaker.Pause", "and Breaker.MaxPause need Breaker.Failures")
	}
	if b.Failures > 0 {
		b.Pause = cmp.Or(b.Pause, time.Second)
		b.MaxPause = cmp.Or(b.MaxPause, max(time.Minute, b.Pause))
	}
	switch {
	case b.Failures < 0:
		return b, NewFieldError("Breaker.Failures", "%d is negative", b.Failures)
	case b.Pause < 0:
		return b, NewFieldError("Breaker.Pause", "%s is negative", b.Pause)
	case b.MaxPause < b.Pause:
		return b, NewFieldError("Breaker.MaxPause", "%s is less than Pause %s", b.MaxPause, b.Pause)
	}
	return b, nil
}
