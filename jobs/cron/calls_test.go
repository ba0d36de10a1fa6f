package cron

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs/admin"
)

// call is one call of a job's function. It goes on until the test or its context ends it.
type call struct {
	Tick
	ctx context.Context
	end chan error
}

// calls is a TickFunc that passes each call to the test.
func calls(t *testing.T) (TickFunc, chan *call) {
	all := make(chan *call, 1000)
	return func(ctx context.Context, tick Tick) error {
		c := &call{tick, ctx, make(chan error, 1)}
		all <- c
		select {
		case err := <-c.end:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-t.Context().Done():
			return errors.New("the test has ended")
		}
	}, all
}

// finish ends a call, and waits until that is written and what follows from it is done.
func (c *cronTest) finish(call *call, err error) {
	c.t.Helper()
	call.end <- err
	c.over(call.Tick)
}

// over waits until the end of an attempt is written and what follows from it is done.
func (c *cronTest) over(tick Tick) {
	c.t.Helper()
	pgtest.Eventually(c.t, "the end to be written", func() bool {
		return pgtest.Value[bool](c.t, c.pool, `select not exists (select from pgsolo.cron_run
			where job = $1 and scheduled_at = $2 and outcome = 'running'
				and attempt = $3)`, tick.Job, tick.ScheduledAt, tick.Attempt)
	})
	c.scan()
}

// scan has the loop scan, to the end.
func (c *cronTest) scan() {
	c.t.Helper()
	c.clock.set(c.t, c.clock.read())
}

// next waits for a start, and checks which tick it is, by its time after epoch, and which attempt.
func (c *cronTest) next(started <-chan *call, after time.Duration, attempt int) *call {
	c.t.Helper()
	got := pgtest.Within(c.t, fmt.Sprintf("attempt %d at %s", attempt, after), started)
	if !got.ScheduledAt.Equal(c.epoch.Add(after)) || got.Attempt != attempt {
		c.t.Fatalf("attempt %d of the tick at %s starts, want attempt %d of that at %s", got.Attempt,
			got.ScheduledAt.Sub(c.epoch), attempt, after)
	}
	return got
}

// none checks that nothing else has started.
func (c *cronTest) none(started <-chan *call) {
	c.t.Helper()
	c.scan()
	select {
	case got := <-started:
		c.t.Fatalf("attempt %d of the tick at %s starts, want none", got.Attempt, got.ScheduledAt.Sub(c.epoch))
	default:
	}
}

// crash ends the leader as if it had been killed: from some moment on it writes nothing.
func (c *cronTest) crash() {
	c.t.Helper()
	c.term++
	c.exec(`update pgsolo.cron_leader set term = $1`, c.term)
	c.cancel()
	_ = pgtest.Within(c.t, "the job to end", c.ended)
}

// die cancels the leader, and waits for its end. The leader makes one short try to write how its runs have ended.
func (c *cronTest) die() {
	c.t.Helper()
	begun := time.Now()
	c.cancel()
	if err := pgtest.Within(c.t, "the job to end", c.ended); err != nil {
		c.t.Errorf("cancelled: %v", err)
	}
	if took := time.Since(begun); took >= lastOutcome {
		c.t.Skipf("the machine is too slow for that: it took %s", took)
	}
}

// leadNext runs the job in the next term.
func (c *cronTest) leadNext() *cronTest {
	c.t.Helper()
	return c.lead(c.term + 1)
}

// trigger triggers the job and lets the leader see it.
func (c *cronTest) trigger(force bool) time.Time {
	c.t.Helper()
	at, err := admin.CronJobs{}.Trigger(c.t.Context(), c.pool, "job", force)
	if err != nil {
		c.t.Fatal(err)
	}
	c.notify()
	return at
}

// attemptRow is a row of cron_run, with its attempts. A manual run has no place on the test's clock.
type attemptRow struct {
	After   time.Duration // since the test's epoch; 0 for a manual run
	Cause   string
	Outcome string
	Attempt int
	Error   string
}

// wantAttempts compares all rows, the manual ones last.
func (c *cronTest) wantAttempts(want ...attemptRow) {
	c.t.Helper()
	rows, err := c.pool.Query(c.t.Context(),
		`select case when cause = 'manual' then interval '0' else scheduled_at - $1 end,
			cause, outcome, attempt, coalesce(error, '')
		from pgsolo.cron_run order by cause = 'manual', scheduled_at`, c.epoch)
	if err != nil {
		c.t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowToStructByPos[attemptRow])
	if err != nil {
		c.t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		c.t.Errorf("runs -want +got\n%s", diff)
	}
}

const minute = time.Minute

// overlapError is the reason for a tick skipped because of a run.
const overlapError = "the previous run was still going"
