package jobs

import (
	"errors"
	"fmt"
	"math"
	"testing"
	"time"
)

func TestWhatFollowsAFailure(t *testing.T) {
	cause := errors.New("cause")
	wrap := func(err error) error { return errors.Join(errors.New("other"), fmt.Errorf("wrapped: %w", err)) }
	const ms = time.Millisecond
	for name, test := range map[string]struct {
		retry    Retry
		attempt  int
		err      error
		min, max time.Duration
		dead     bool
	}{
		"backoff": {
			Retry{Attempts: 9, Backoff: 100 * ms, MaxBackoff: time.Hour, Jitter: -1},
			1, cause, 100 * ms, 100 * ms, false,
		},
		"third backoff": {
			Retry{Attempts: 9, Backoff: 100 * ms, MaxBackoff: time.Hour, Jitter: -1},
			3, cause, 400 * ms, 400 * ms, false,
		},
		"longest backoff": {
			Retry{Attempts: 99, Backoff: 100 * ms, MaxBackoff: time.Second, Jitter: -1},
			80, cause, time.Second, time.Second, false,
		},
		"attempts given by hand": {
			Retry{Attempts: 9, Backoff: 100 * ms, MaxBackoff: time.Hour, Jitter: -1},
			-5, cause, 100 * ms, 100 * ms, false,
		},
		"default jitter": {
			Retry{Attempts: 9, Backoff: time.Second, MaxBackoff: time.Hour},
			1, cause, 900 * ms, 1100 * ms, false,
		},
		"jitter": {
			Retry{Attempts: 9, Backoff: time.Second, MaxBackoff: time.Hour, Jitter: 0.5},
			1, cause, 500 * ms, 1500 * ms, false,
		},
		"last attempt": {
			Retry{Attempts: 3, Backoff: time.Second, MaxBackoff: time.Hour},
			3, cause, 0, 0, true,
		},
		"retry after": {
			Retry{Attempts: 3, Backoff: time.Second, MaxBackoff: time.Hour, Jitter: -1},
			1, wrap(RetryAfter(2*time.Hour, cause)), 2 * time.Hour, 2 * time.Hour, false,
		},
		"retry after, never sooner": {
			Retry{Attempts: 3, Backoff: time.Second, MaxBackoff: time.Hour, Jitter: 0.5},
			1, RetryAfter(time.Minute, cause), time.Minute, 90 * time.Second, false,
		},
		"retry after parts of a ms": {
			Retry{Attempts: 3, Backoff: time.Second, MaxBackoff: time.Hour, Jitter: -1},
			1, RetryAfter(1500*time.Microsecond, cause), 2 * ms, 2 * ms, false,
		},
		"retry at once": {
			Retry{Attempts: 3, Backoff: time.Second, MaxBackoff: time.Hour},
			1, RetryAfter(-time.Hour, cause), 0, 0, false,
		},
		"retry after ages": {
			Retry{Attempts: 3, Backoff: time.Second, MaxBackoff: time.Hour},
			1, RetryAfter(math.MaxInt64, cause), math.MaxInt64 / 2, math.MaxInt64/2 + ms, false,
		},
		"retry after the last": {
			Retry{Attempts: 3, Backoff: time.Second, MaxBackoff: time.Hour},
			3, RetryAfter(time.Minute, cause), 0, 0, true,
		},
		"discard": {
			Retry{Attempts: 3, Backoff: time.Second, MaxBackoff: time.Hour},
			1, wrap(Discard(cause)), 0, 0, true,
		},
		"discard comes first": {
			Retry{Attempts: 3, Backoff: time.Second, MaxBackoff: time.Hour},
			1, RetryAfter(time.Hour, Discard(cause)), 0, 0, true,
		},
		"an error that cannot be asked": {
			Retry{Attempts: 3, Backoff: time.Second, MaxBackoff: time.Hour, Jitter: -1},
			1, (*badError)(nil), time.Second, time.Second, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			for range 100 {
				wait, dead := test.retry.Next(test.attempt, test.err)
				if wait < test.min || wait > test.max || dead != test.dead {
					t.Fatalf("got %s, dead: %t; want %s to %s, %t", wait, dead, test.min, test.max, test.dead)
				}
			}
		})
	}
	r := Retry{Backoff: time.Second, MaxBackoff: time.Hour}
	if first, second := r.delay(1), r.delay(1); first == second {
		t.Error("no jitter")
	}
}
