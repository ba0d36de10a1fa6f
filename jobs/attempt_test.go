package jobs

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
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
		"backoff":                       {Retry{Attempts: 9, Backoff: 100 * ms, MaxBackoff: time.Hour, Jitter: -1}, 1, cause, 100 * ms, 100 * ms, false},
		"third backoff":                 {Retry{Attempts: 9, Backoff: 100 * ms, MaxBackoff: time.Hour, Jitter: -1}, 3, cause, 400 * ms, 400 * ms, false},
		"longest backoff":               {Retry{Attempts: 99, Backoff: 100 * ms, MaxBackoff: time.Second, Jitter: -1}, 80, cause, time.Second, time.Second, false},
		"default jitter":                {Retry{Attempts: 9, Backoff: time.Second, MaxBackoff: time.Hour}, 1, cause, 900 * ms, 1100 * ms, false},
		"jitter":                        {Retry{Attempts: 9, Backoff: time.Second, MaxBackoff: time.Hour, Jitter: 0.5}, 1, cause, 500 * ms, 1500 * ms, false},
		"last attempt":                  {Retry{Attempts: 3, Backoff: time.Second, MaxBackoff: time.Hour}, 3, cause, 0, 0, true},
		"retry after":                   {Retry{Attempts: 3, Backoff: time.Second, MaxBackoff: time.Hour, Jitter: -1}, 1, wrap(RetryAfter(2*time.Hour, cause)), 2 * time.Hour, 2 * time.Hour, false},
		"retry after, never sooner":     {Retry{Attempts: 3, Backoff: time.Second, MaxBackoff: time.Hour, Jitter: 0.5}, 1, RetryAfter(time.Minute, cause), time.Minute, 90 * time.Second, false},
		"retry after parts of a ms":     {Retry{Attempts: 3, Backoff: time.Second, MaxBackoff: time.Hour, Jitter: -1}, 1, RetryAfter(1500*time.Microsecond, cause), 2 * ms, 2 * ms, false},
		"retry at once":                 {Retry{Attempts: 3, Backoff: time.Second, MaxBackoff: time.Hour}, 1, RetryAfter(-time.Hour, cause), 0, 0, false},
		"retry after ages":              {Retry{Attempts: 3, Backoff: time.Second, MaxBackoff: time.Hour}, 1, RetryAfter(math.MaxInt64, cause), math.MaxInt64 / 2, math.MaxInt64/2 + ms, false},
		"retry after the last":          {Retry{Attempts: 3, Backoff: time.Second, MaxBackoff: time.Hour}, 3, RetryAfter(time.Minute, cause), 0, 0, true},
		"discard":                       {Retry{Attempts: 3, Backoff: time.Second, MaxBackoff: time.Hour}, 1, wrap(Discard(cause)), 0, 0, true},
		"discard comes first":           {Retry{Attempts: 3, Backoff: time.Second, MaxBackoff: time.Hour}, 1, RetryAfter(time.Hour, Discard(cause)), 0, 0, true},
		"an error that cannot be asked": {Retry{Attempts: 3, Backoff: time.Second, MaxBackoff: time.Hour, Jitter: -1}, 1, (*badError)(nil), time.Second, time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			for range 100 {
				wait, dead := test.retry.next(test.attempt, test.err)
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

// badError is what a handler returns that mistakes a nil pointer for no error.
type badError struct{ cause error }

func (e *badError) Error() string { return e.cause.Error() }
func (e *badError) Unwrap() error { return e.cause }

func TestErrorTextSurvivesBadErrors(t *testing.T) {
	for want, err := range map[string]error{
		"<nil>":                 (*badError)(nil),
		"a\uFFFDb\uFFFD":        errors.New("a\x00b\xff"),
		errAskedAgain.Error():   RetryAfter(time.Second, nil),
		errDiscarded.Error():    Discard(nil),
		"wrapped: no such user": fmt.Errorf("wrapped: %w", Discard(errors.New("no such user"))),
		"when: panic: assertion failed": func() error {
			_, err := (&Handler{When: func(Event) (bool, error) { panic("assertion failed") }}).filter(Event{})
			return err
		}(),
	} {
		if got := errorText(err); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// A handler decides what becomes of its event; a filter decides whether it is one.
func TestAnswersOfAHandler(t *testing.T) {
	pool := setup(t)
	l := lead(t, pool, 1, Handler{
		Name: "h", Topic: "t", Retry: Retry{Attempts: 5, Backoff: time.Hour},
		When: func(e Event) (bool, error) {
			switch e.ID {
			case 4:
				return false, nil
			case 5:
				return true, errors.New("no field a")
			case 6:
				panic("boom")
			case 7:
				return false, Discard(errors.New("no object"))
			}
			return true, nil
		},
		Handle: func(_ context.Context, e Event) error {
			switch e.ID {
			case 1:
				return nil
			case 2:
				return fmt.Errorf("call: %w", RetryAfter(2*time.Hour, errors.New("busy")))
			case 3:
				return fmt.Errorf("call: %w", Discard(errors.New("no such user")))
			case 8:
				return (*badError)(nil)
			}
			t.Errorf("event %d reached the handler", e.ID)
			return nil
		},
	})
	emitNumbers(t, pool, 8)
	pgtest.Eventually(t, "all events to be done", func() bool {
		return pgtest.Value[bool](t, pool, `select coalesce((select done = '{[1,9)}' from pgsolo.cursor), false)`)
	})
	want := []string{
		"2 retry 1 3 call: busy", "3 dead 1 call: no such user", "5 retry 1 1 when: no field a", "6 retry 1 1 when: panic: boom",
		"7 dead 1 when: no object", "8 retry 1 1 <nil>",
	}
	// The hours are rounded up: a tenth more at most for the jitter, and what one asked for is not undercut.
	got := pgtest.Value[[]string](t, pool, `select array_agg(concat_ws(' ', event_id, state, attempt,
			case event_id when 2 then ceil(extract(epoch from next_at - created_at) / 3600) else round(extract(epoch from next_at - created_at) / 3600) end, error)
		order by event_id) from pgsolo.delivery`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("deliveries -want +got\n%s", diff)
	}
	l.quit()
	s := l.runner.Stats().Handlers[0]
	if s.Handled != 1 || s.Filtered != 1 || s.Failed != 6 || s.Dead != 2 || s.Durations.Count != 4 {
		t.Errorf("stats: %+v", s)
	}
}

func TestHistogram(t *testing.T) {
	var h histogram
	for _, d := range []time.Duration{0, 100 * time.Microsecond, 100*time.Microsecond + 1, 30 * time.Second, time.Hour} {
		h.add(int64(d), &durationBounds)
	}
	got := h.seconds()
	if got.Count != 5 || got.Sum < 3630 || got.Sum > 3631 || len(got.Buckets) != len(durationBounds) ||
		got.Buckets[0.0001] != 2 || got.Buckets[0.001] != 3 || got.Buckets[10] != 3 || got.Buckets[60] != 4 {
		t.Errorf("got %+v", got)
	}
}
