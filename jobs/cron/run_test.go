package cron

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/text"
)

func TestRunGetsItsTick(t *testing.T) {
	run, started, outcome := blocking(t)
	c := setupCron(t, run)
	c.cron.Location = zone(t, "Europe/Berlin")
	c.seen().lead(7).at(time.Minute + time.Millisecond)
	want := Tick{Job: "job", ScheduledAt: c.epoch.Add(time.Minute), Attempt: 1, Term: 7}
	got := pgtest.Within(t, "the tick", started)
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Tick{}, "Report")); diff != "" {
		t.Errorf("tick -want +got\n%s", diff)
	}
	if name := got.ScheduledAt.Location().String(); name != "Europe/Berlin" {
		t.Errorf("ScheduledAt is in %s", name)
	}
	outcome <- nil
	c.quit()
	c.wantRuns(runRow{After: time.Minute, Outcome: "ok"})
	stats := c.job.stats()
	if stats.Started != 1 || stats.Succeeded != 1 || stats.Running != 0 || stats.Lateness.Count != 1 ||
		!stats.LastSuccess.Equal(c.clock.read()) {
		t.Errorf("stats: %+v", stats)
	}
}

func TestFailures(t *testing.T) {
	for _, test := range []struct {
		name     string
		run      TickFunc
		want     string // prefix of the error in the row
		inTheLog string
	}{
		{"error", func(context.Context, Tick) error { return errors.New("no disk") }, "no disk", "no disk"},
		{"panic", func(context.Context, Tick) error { panic("boom") }, "panic: boom", "TestFailures"},
		{"goexit", func(context.Context, Tick) error { runtime.Goexit(); return nil },
			"the function ended its goroutine", ""},
		{"timeout", func(ctx context.Context, _ Tick) error { <-ctx.Done(); return ctx.Err() },
			"not done within its timeout of 10ms", ""},
		{"unprintable", func(context.Context, Tick) error {
			return errors.New("a\x00b\xff" + strings.Repeat("x", 1<<20))
		}, "a\uFFFDb\uFFFDx", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			ran := make(chan Tick, 10)
			c := setupCron(t, func(ctx context.Context, tick Tick) error {
				ran <- tick
				return test.run(ctx, tick)
			})
			if test.name == "timeout" {
				c.cron.Timeout = 10 * time.Millisecond
			}
			c.seen().lead(1)
			c.tick(time.Minute, ran)
			c.tick(2*time.Minute, ran) // the first one has wedged nothing
			c.quit()
			runs := c.runs()
			if len(runs) != 2 {
				t.Fatalf("got %d runs, want 2", len(runs))
			}
			for _, run := range runs {
				if run.Outcome != "failed" || !strings.HasPrefix(run.Error, test.want) ||
					len(run.Error) > text.MaxError+8 {
					t.Errorf("got %s with %.80q, want failed with %q", run.Outcome, run.Error, test.want)
				}
			}
			if !strings.Contains(c.log.String(), test.inTheLog) {
				t.Errorf("%q is not in the log:\n%s", test.inTheLog, &c.log)
			}
		})
	}
}

func TestSkipsAnOverlap(t *testing.T) {
	run, started, outcome := blocking(t)
	c := setupCron(t, run).seen().lead(1)
	c.at(time.Minute)
	pgtest.Within(t, "the first tick", started)
	c.at(2 * time.Minute)
	c.at(3 * time.Minute)
	outcome <- nil
	c.idle()
	c.at(4 * time.Minute)
	pgtest.Within(t, "the tick after the overlap", started)
	outcome <- nil
	c.quit()
	c.wantRuns(
		runRow{time.Minute, "ok", ""},
		runRow{2 * time.Minute, "skipped", "the previous run was still going"},
		runRow{3 * time.Minute, "skipped", "the previous run was still going"},
		runRow{4 * time.Minute, "ok", ""},
	)
	if skipped := c.job.stats().Skipped; skipped != 2 {
		t.Errorf("counted %d skipped ticks, want 2", skipped)
	}
}

func TestStopWaitsForTheRun(t *testing.T) {
	started, stopped := make(chan struct{}), make(chan struct{})
	c := setupCron(t, func(ctx context.Context, _ Tick) error {
		close(started)
		select {
		case <-stopped:
		case <-ctx.Done():
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond): // for something that must not happen
			return nil
		}
	}).seen().lead(1)
	c.at(time.Minute)
	pgtest.Within(t, "the tick", started)
	c.clock.move(c.epoch.Add(2 * time.Minute)) // due, but no longer wanted
	close(c.stop)
	close(stopped)
	if err := pgtest.Within(t, "the job to end", c.ended); err != nil {
		t.Error(err)
	}
	c.wantRuns(runRow{time.Minute, "ok", ""})
}

func TestStopBeginsNothing(t *testing.T) {
	c := setupCron(t, func(context.Context, Tick) error { return nil }).seen()
	all, err := New(Options{Pool: c.pool, Schema: jobs.DefaultSchema, Group: "main", Jobs: []Job{c.cron}})
	if err != nil {
		t.Fatal(err)
	}
	all.now = func() time.Time { return c.epoch.Add(time.Minute) } // a tick is due
	stopped := make(chan struct{})
	close(stopped)
	if err := all.Run(t.Context(), jobs.Lead{Number: 1, Stopping: stopped}); err != nil {
		t.Error(err)
	}
	c.wantRuns()
}

func TestCancelEndsTheRun(t *testing.T) {
	started := make(chan struct{})
	c := setupCron(t, func(ctx context.Context, _ Tick) error {
		close(started)
		<-ctx.Done()
		return ctx.Err()
	}).seen().lead(1)
	c.at(time.Minute)
	pgtest.Within(t, "the tick", started)
	c.die()
	c.wantRuns(runRow{time.Minute, "interrupted", "context canceled"})
}

func TestClockSetBack(t *testing.T) {
	run, ran := collecting()
	c := setupCron(t, run).seen().lead(1)
	for _, minute := range []time.Duration{1, 2, 3} {
		c.tick(minute*time.Minute, ran)
	}
	c.at(90 * time.Second)
	c.at(2 * time.Minute)
	c.at(3 * time.Minute)
	if got, want := c.tick(4*time.Minute, ran).ScheduledAt, c.epoch.Add(4*time.Minute); !got.Equal(want) {
		t.Errorf("got %s, want %s: it has run before", got, want)
	}
	const year = 365 * 24 * time.Hour
	c.at(-year) // it was wrong all the time
	if got, want := c.tick(-year+time.Minute, ran).ScheduledAt, c.epoch.Add(-year+time.Minute); !got.Equal(want) {
		t.Errorf("got %s, want %s", got, want)
	}
	c.quit()
}

func TestLosesItsConnections(t *testing.T) {
	run, ran := collecting()
	c := setupCron(t, run).seen().lead(1)
	admin, err := pgx.ConnectConfig(t.Context(), c.pool.Config().ConnConfig)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(context.Background())
	for _, minute := range []time.Duration{1, 2, 3} {
		if _, err := admin.Exec(t.Context(), `select pg_terminate_backend(pid, 5000) from pg_stat_activity
			where datname = current_database() and pid <> pg_backend_pid()
				and backend_type = 'client backend'`); err != nil {
			t.Fatal(err)
		}
		c.at(minute * time.Minute)
		pgtest.Within(t, "the tick", ran)
		pgtest.Eventually(t, "the run to end", func() bool { // the pool may still have a session that has gone
			return !pgtest.Value[bool](t, admin,
				`select exists (select from pgsolo.cron_run where outcome = 'running')`)
		})
	}
	c.quit()
	c.pool.Reset()
	c.wantRuns(runRow{time.Minute, "ok", ""}, runRow{2 * time.Minute, "ok", ""}, runRow{3 * time.Minute, "ok", ""})
}
