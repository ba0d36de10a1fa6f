package cron

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
)

var errNoDisk = errors.New("no disk")

// retrying makes the job's failed attempts be retried, after one minute, two, four and so on.
func (c *cronTest) retrying(attempts int) *cronTest {
	c.cron.Retry = jobs.Retry{Attempts: attempts, Backoff: minute, MaxBackoff: time.Hour, Jitter: -1}
	return c
}

// A run that waits for a retry is one that goes on: ticks that come due meanwhile are overlaps.
func TestRetries(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run).seen().retrying(3).lead(1)
	c.at(1 * minute)
	c.finish(c.next(started, 1*minute, 1), errors.New("first"))
	if stats := c.job.stats(); stats.Waiting != 1 || stats.Running != 0 || stats.Failed != 0 {
		t.Errorf("stats: %+v, want one that waits", stats)
	}
	c.wantAttempts(attemptRow{1 * minute, "schedule", "retrying", 1, "first"})
	if next := pgtest.Value[time.Time](t, c.pool,
		`select next_at from pgsolo.cron_run`); !next.Equal(c.epoch.Add(2 * minute)) {
		t.Errorf("retried at %s, want after a minute", next)
	}
	c.at(2*minute - time.Millisecond)
	c.none(started)
	c.at(2 * minute)
	second := c.next(started, 1*minute, 2)
	second.Report.SetExitCode(3)
	fmt.Fprint(second.Report, "much")
	c.finish(second, errors.New("second"))
	c.at(3 * minute)
	c.none(started)
	c.at(4 * minute) // two minutes later
	third := c.next(started, 1*minute, 3)
	if left := pgtest.Value[bool](t, c.pool,
		`select output is null and exit_code is null and error is null and next_at is null and finished_at is null
		from pgsolo.cron_run where outcome = 'running'`); !left {
		t.Error("the row of a running attempt has something of the one before")
	}
	third.Report.SetExitCode(4)
	fmt.Fprint(third.Report, "more")
	c.finish(third, errors.New("third"))
	if stats := c.job.stats(); stats.Started != 3 || stats.Retried != 2 || stats.Failed != 1 || stats.Skipped != 3 ||
		stats.Lateness.Count != 1 {
		t.Errorf("stats: %+v", stats)
	}
	c.at(5 * minute)
	c.finish(c.next(started, 5*minute, 1), nil)
	c.quit()
	c.wantAttempts(
		attemptRow{1 * minute, "schedule", "failed", 3, "third"},
		attemptRow{2 * minute, "schedule", "skipped", 0, overlapError},
		attemptRow{3 * minute, "schedule", "skipped", 0, overlapError},
		attemptRow{4 * minute, "schedule", "skipped", 0, overlapError},
		attemptRow{5 * minute, "schedule", "ok", 1, ""},
	)
	if got := pgtest.Value[string](t, c.pool,
		`select exit_code || output from pgsolo.cron_run where attempt = 3`); got != "4more" {
		t.Errorf("exit code and output %q, want those of the last attempt", got)
	}
}

// What fails in whatever way is retried, and so is a program of its own.
func TestRetriesEveryFailure(t *testing.T) {
	for name, fail := range map[string]TickFunc{
		"panic":   func(context.Context, Tick) error { panic("boom") },
		"timeout": func(ctx context.Context, _ Tick) error { <-ctx.Done(); return ctx.Err() },
		"error":   func(context.Context, Tick) error { return errNoDisk },
	} {
		t.Run(name, func(t *testing.T) {
			run, started := calls(t)
			c := setupCron(t, func(ctx context.Context, tick Tick) error {
				if tick.Attempt == 1 {
					return fail(ctx, tick)
				}
				return run(ctx, tick)
			}).seen().retrying(2)
			if name == "timeout" {
				c.cron.Timeout = time.Millisecond
			}
			c.lead(1).at(1 * minute)
			c.over(Tick{Job: "job", ScheduledAt: c.epoch.Add(1 * minute), Attempt: 1})
			if outcome := pgtest.Value[string](t, c.pool,
				`select outcome from pgsolo.cron_run`); outcome != "retrying" {
				t.Fatalf("outcome %s, want retrying", outcome)
			}
			c.job.Timeout = time.Hour // nothing is under way
			c.at(2 * minute)
			c.finish(c.next(started, 1*minute, 2), nil)
			c.quit()
			c.wantAttempts(attemptRow{1 * minute, "schedule", "ok", 2, ""},
				attemptRow{2 * minute, "schedule", "skipped", 0, overlapError})
		})
	}
}

func TestDiscardEndsTheRetries(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run).seen().retrying(5).lead(1)
	c.at(1 * minute)
	c.finish(c.next(started, 1*minute, 1), jobs.Discard(errNoDisk))
	c.at(2 * minute)
	c.finish(c.next(started, 2*minute, 1), nil)
	c.quit()
	c.wantAttempts(attemptRow{1 * minute, "schedule", "failed", 1, "no disk"},
		attemptRow{2 * minute, "schedule", "ok", 1, ""})
}

func TestRetryAfter(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run)
	c.cron.Schedules = []string{"1 12 * * *"}
	c.seen().retrying(2).lead(1)
	c.at(1 * minute)
	c.finish(c.next(started, 1*minute, 1), jobs.RetryAfter(10*minute, errNoDisk))
	c.at(11*minute - 1)
	c.none(started)
	c.at(11 * minute)
	c.finish(c.next(started, 1*minute, 2), jobs.RetryAfter(10*minute, errNoDisk)) // the last one
	c.none(started)
	c.quit()
	c.wantAttempts(attemptRow{1 * minute, "schedule", "failed", 2, "no disk"})
}

// A retry is the next leader's, at its time.
func TestRetryOverAFailover(t *testing.T) {
	for name, test := range map[string]struct {
		end   func(*cronTest)
		found time.Duration // when the next leader comes
	}{
		"stopped":              {(*cronTest).quit, 90 * time.Second},
		"killed":               {(*cronTest).crash, 90 * time.Second},
		"cancelled":            {(*cronTest).die, 90 * time.Second},
		"stopped for too long": {(*cronTest).quit, 3 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			run, started := calls(t)
			c := setupCron(t, run)
			c.cron.Schedules = []string{"1 12 * * *"}
			c.seen().retrying(3).lead(1)
			c.at(1 * minute)
			c.finish(c.next(started, 1*minute, 1), errNoDisk)
			test.end(c)
			c.clock.move(c.epoch.Add(test.found))
			c.leadNext()
			if test.found < 2*minute {
				c.none(started)
				if stats := c.job.stats(); stats.Waiting != 1 {
					t.Errorf("stats: %+v, want one that waits", stats)
				}
				c.at(2 * minute)
			}
			second := c.next(started, 1*minute, 2)
			if second.Term != c.term || second.Manual || second.CatchUp {
				t.Errorf("got %+v, want that of term %d", second.Tick, c.term)
			}
			c.finish(second, errNoDisk)
			c.none(started)
			c.at(test.found + 3*minute)
			c.finish(c.next(started, 1*minute, 3), errNoDisk)
			c.quit()
			c.wantAttempts(attemptRow{1 * minute, "schedule", "failed", 3, "no disk"})
		})
	}
}

// Nothing of the old schedule is made up for, but what was begun is ended.
func TestRetryOfAChangedSchedule(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run).seen().retrying(2).lead(1)
	c.at(1 * minute)
	c.finish(c.next(started, 1*minute, 1), errNoDisk)
	c.quit()
	c.cron.Schedules = []string{"0 0 * * *"}
	c.leadNext().at(2 * minute)
	c.finish(c.next(started, 1*minute, 2), nil)
	c.quit()
	c.wantAttempts(attemptRow{1 * minute, "schedule", "ok", 2, ""})
}
