package eventlog

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/text"
)

// nilError is what a handler returns that mistakes a nil pointer for no error.
type nilError struct{ cause error }

func (e *nilError) Error() string { return e.cause.Error() }

func (e *nilError) Unwrap() error { return e.cause }

func TestPanicOfWhen(t *testing.T) {
	_, err := (&Handler{When: func(Event) (bool, error) { panic("assertion failed") }}).wants(Event{})
	if got, want := text.Error(err), "when: panic: assertion failed"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A handler decides what becomes of its event; When decides whether it is one.
func TestAnswersOfAHandler(t *testing.T) {
	pool := jobstest.Pool(t)
	l := lead(t, pool, 1, Handler{
		Name: "h", Topic: "t", Retry: jobs.Retry{Attempts: 5, Backoff: time.Hour},
		When: func(e Event) (bool, error) {
			switch e.ID {
			case 4:
				return false, nil
			case 5:
				return true, errors.New("no field a")
			case 6:
				panic("boom")
			case 7:
				return false, jobs.Discard(errors.New("no object"))
			}
			return true, nil
		},
		Handle: func(_ context.Context, e Event) error {
			switch e.ID {
			case 1:
				return nil
			case 2:
				return fmt.Errorf("call: %w", jobs.RetryAfter(2*time.Hour, errors.New("busy")))
			case 3:
				return fmt.Errorf("call: %w", jobs.Discard(errors.New("no such user")))
			case 8:
				return (*nilError)(nil)
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
		"2 retry 1 3 call: busy", "3 dead 1 call: no such user", "5 retry 1 1 when: no field a",
		"6 retry 1 1 when: panic: boom",
		"7 dead 1 when: no object", "8 retry 1 1 <nil>",
	}
	// The hours are rounded up: a tenth more at most for the jitter, and what one asked for is not undercut.
	got := pgtest.Value[[]string](t, pool, `select array_agg(concat_ws(' ', event_id, state, attempt,
			case event_id when 2 then ceil(extract(epoch from next_at - created_at) / 3600)
				else round(extract(epoch from next_at - created_at) / 3600) end, error)
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
