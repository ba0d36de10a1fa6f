package eventlog

import (
	"context"
	"fmt"
	"syscall"
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
)

// An attempt that could not begin, for want of something of this process, does not count, and is made again.
func TestStarvedAttemptsDoNotCount(t *testing.T) {
	pool := jobstest.Pool(t)
	handled, tries := make(chan Event, 1), 0
	l := lead(t, pool, 1, Handler{
		Name: "h", Topic: "t", Retry: jobs.Retry{Attempts: 1}, Handle: func(_ context.Context, e Event) error {
			if tries++; tries <= 3 {
				return fmt.Errorf("start: %w", jobs.Starved(fmt.Errorf("pipe: %w", syscall.EMFILE)))
			}
			handled <- e
			return nil
		},
	})
	jobstest.Emit(t, pool, "t", `1`)
	if e := pgtest.Within(t, "the event", handled); e.Attempt != 1 {
		t.Errorf("attempt %d", e.Attempt)
	}
	l.quit()
	if n := pgtest.Value[int](t, pool, `select count(*) from pgsolo.delivery`); n != 0 {
		t.Errorf("%d deliveries", n)
	}
}
