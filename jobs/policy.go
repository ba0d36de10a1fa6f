package jobs

import (
	"cmp"
	"math"
	"math/rand/v2"
	"time"
)

// Retry says what happens to an event or a tick whose attempt failed: the n-th retry waits
// min(MaxBackoff, Backoff * 2^(n-1)), give or take Jitter. After the last attempt an event is a dead letter, and a tick
// has failed. What the error asks for comes first: see RetryAfter and Discard.
type Retry struct {
	Attempts   int           // in all, the first included; default 10
	Backoff    time.Duration // default 1 s
	MaxBackoff time.Duration // default 1 h
	Jitter     float64       // a fraction of the wait, below 1; default 0.1, negative for none
}

// WithDefaults fills in what was left out. What is wrong stays as it is, for Check.
func (r Retry) WithDefaults() Retry {
	r.Attempts = cmp.Or(r.Attempts, 10)
	r.Backoff = cmp.Or(r.Backoff, time.Second)
	r.MaxBackoff = cmp.Or(r.MaxBackoff, max(time.Hour, r.Backoff))
	r.Jitter = cmp.Or(r.Jitter, 0.1)
	return r
}

// Check names the field that is wrong, in a *FieldError. It is for a Retry with its defaults.
func (r Retry) Check() error {
	switch {
	case r.Attempts < 0:
		return NewFieldError("Retry.Attempts", "%d is negative", r.Attempts)
	case r.Backoff < 0:
		return NewFieldError("Retry.Backoff", "%s is negative", r.Backoff)
	case r.MaxBackoff < r.Backoff:
		return NewFieldError("Retry.MaxBackoff", "%s is less than Backoff %s", r.MaxBackoff, r.Backoff)
	case !(r.Jitter < 1):
		return NewFieldError("Retry.Jitter", "%g: want a fraction below 1", r.Jitter)
	}
	return nil
}

// Next says what follows a failed attempt, of which 1 is the first: another one after wait, or none, when it is the
// last or the failure is a final one. The wait has its jitter, so that what failed together does not come back
// together.
func (r Retry) Next(attempt int, failure error) (wait time.Duration, last bool) {
	asked, has, final := Asked(failure)
	switch {
	case final || attempt >= r.Attempts:
		return 0, true
	case has:
		return r.later(asked), false
	}
	return r.delay(attempt), false
}

// delay is the wait for the retry that follows the failed attempt.
func (r Retry) delay(attempt int) time.Duration {
	wait := r.MaxBackoff
	if shift := max(0, attempt-1); shift < 62 && r.Backoff <= r.MaxBackoff>>shift {
		wait = r.Backoff << shift
	}
	return scale(wait, 1+r.jitter()*(2*rand.Float64()-1))
}

// later adds jitter to the wait that a handler has asked for, and never takes from it.
func (r Retry) later(wait time.Duration) time.Duration {
	wait = scale(wait, 1+r.jitter()*rand.Float64())
	return (wait + time.Millisecond - 1).Truncate(time.Millisecond) // as it is stored
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

// Rate bounds how often attempts begin: at most Events in any Per, spread evenly, over all workers of the handler. The
// zero Rate bounds nothing.
type Rate struct {
	Events int
	Per    time.Duration // default 1 s
}

// WithDefaults fills in what was left out, unless the rate bounds nothing. What is wrong stays as it is, for Check.
func (r Rate) WithDefaults() Rate {
	if r.Events > 0 {
		r.Per = cmp.Or(r.Per, time.Second)
	}
	return r
}

// Check names the field that is wrong, in a *FieldError.
func (r Rate) Check() error {
	switch {
	case r.Events < 0:
		return NewFieldError("Rate.Events", "%d is negative", r.Events)
	case r.Per < 0:
		return NewFieldError("Rate.Per", "%s is negative", r.Per)
	case r.Events == 0 && r.Per > 0:
		return NewFieldError("Rate.Per", "needs Rate.Events")
	}
	return nil
}

// Breaker pauses a handler whose target is down, instead of trying every event against it. After Failures failed
// attempts in a row nothing is attempted for Pause; then one event is. If it fails too, the pause doubles, up to
// MaxPause; if it does not, the handler goes on. The zero Breaker never pauses.
type Breaker struct {
	Failures int           // 0: no breaker
	Pause    time.Duration // default 1 s
	MaxPause time.Duration // default 1 min
}

// WithDefaults fills in what was left out, unless there is no breaker. What is wrong stays as it is, for Check.
func (b Breaker) WithDefaults() Breaker {
	if b.Failures > 0 {
		b.Pause = cmp.Or(b.Pause, time.Second)
		b.MaxPause = cmp.Or(b.MaxPause, max(time.Minute, b.Pause))
	}
	return b
}

// Check names the field that is wrong, in a *FieldError. It is for a Breaker with its defaults.
func (b Breaker) Check() error {
	switch {
	case b.Failures == 0 && (b.Pause != 0 || b.MaxPause != 0):
		return NewFieldError("Breaker.Pause", "and Breaker.MaxPause need Breaker.Failures")
	case b.Failures < 0:
		return NewFieldError("Breaker.Failures", "%d is negative", b.Failures)
	case b.Pause < 0:
		return NewFieldError("Breaker.Pause", "%s is negative", b.Pause)
	case b.MaxPause < b.Pause:
		return NewFieldError("Breaker.MaxPause", "%s is less than Pause %s", b.MaxPause, b.Pause)
	}
	return nil
}
