package jobs

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// fakeClock stands still until it is set, and its timers fire when the test says so.
type fakeClock struct {
	wake chan time.Time // unbuffered: a send waits until the loop waits

	mu  sync.Mutex // guards now
	now time.Time
}

func (c *fakeClock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// set moves the clock and lets the loop look at it, to the end.
func (c *fakeClock) set(t *testing.T, now time.Time) {
	t.Helper()
	c.mu.Lock()
	c.now = now
	c.mu.Unlock()
	for range 2 { // the second one is taken when all that followed from the first is done
		select {
		case c.wake <- now:
		case <-time.After(20 * time.Second):
			t.Fatal("the loop does not wait")
		}
	}
}

// cronRun is a row of cron_run.
type cronRun struct {
	After   time.Duration // since the test's epoch
	Outcome string
	Error   string
}

// cronTest runs a job, of one tick a minute unless changed, on a fake clock that begins half a minute after epoch.
type cronTest struct {
	t     *testing.T
	pool  *pgxpool.Pool
	cron  Cron
	clock *fakeClock
	epoch time.Time
	log   bytes.Buffer // to be read after the job has ended

	stop   chan struct{}
	cancel context.CancelFunc
	ended  chan error
	job    *cronJob
}

func setupCron(t *testing.T, run TickFunc) *cronTest {
	epoch := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return &cronTest{
		t: t, pool: setup(t), epoch: epoch,
		cron:  Cron{Name: "job", Schedule: "* * * * *", Run: run},
		clock: &fakeClock{wake: make(chan time.Time), now: epoch.Add(30 * time.Second)},
	}
}

// seen makes the job known, with the tick at epoch as its last.
func (c *cronTest) seen() *cronTest {
	c.t.Helper()
	schedule := mustParse(c.t, c.cron.Schedule, c.cron.Location)
	c.exec(`insert into pgsolo.cron_job (job, schedule, last_at, term) values ('job', $1, $2, 0)`, schedule.String(), c.epoch)
	return c
}

func (c *cronTest) exec(sql string, args ...any) {
	c.t.Helper()
	if _, err := c.pool.Exec(c.t.Context(), sql, args...); err != nil {
		c.t.Fatal(err)
	}
}

// lead runs the job in a term until the test ends. It returns when what is due at the start has been dealt with.
func (c *cronTest) lead(term int64) *cronTest {
	c.t.Helper()
	job, err := newCronJob(c.cron, c.pool, DefaultSchema, hclog.New(&hclog.LoggerOptions{Output: &c.log}))
	if err != nil {
		c.t.Fatal(err)
	}
	job.now, job.after = c.clock.read, func(time.Duration) <-chan time.Time { return c.clock.wake }
	c.job, c.stop, c.ended = job, make(chan struct{}), make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	c.cancel = cancel
	running.Go(func() { c.ended <- job.run(ctx, term, c.stop) })
	c.t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	c.clock.set(c.t, c.clock.read())
	return c
}

// at moves the clock to so long after epoch.
func (c *cronTest) at(d time.Duration) {
	c.t.Helper()
	c.clock.set(c.t, c.epoch.Add(d))
}

// tick moves the clock to a tick, waits for it on ran, and for its end.
func (c *cronTest) tick(d time.Duration, ran <-chan Tick) Tick {
	c.t.Helper()
	c.at(d)
	tick := within(c.t, "the tick", ran)
	c.idle()
	return tick
}

func (c *cronTest) idle() {
	c.t.Helper()
	eventually(c.t, "the run to end", func() bool { return !c.job.stats().Running })
}

// quit stops the job as planned.
func (c *cronTest) quit() {
	c.t.Helper()
	close(c.stop)
	if err := within(c.t, "the job to end", c.ended); err != nil {
		c.t.Errorf("planned stop: %v", err)
	}
}

func (c *cronTest) runs() []cronRun {
	c.t.Helper()
	rows, err := c.pool.Query(c.t.Context(),
		`select scheduled_at - $1, outcome, coalesce(error, '') from pgsolo.cron_run order by scheduled_at`, c.epoch)
	if err != nil {
		c.t.Fatal(err)
	}
	runs, err := pgx.CollectRows(rows, pgx.RowToStructByPos[cronRun])
	if err != nil {
		c.t.Fatal(err)
	}
	return runs
}

func (c *cronTest) wantRuns(want ...cronRun) {
	c.t.Helper()
	if diff := cmp.Diff(want, c.runs(), cmpopts.EquateEmpty()); diff != "" {
		c.t.Errorf("runs -want +got\n%s", diff)
	}
}

// blocking is a TickFunc that reports its start and goes on until it is told its outcome, whatever its context says.
func blocking() (run TickFunc, started chan Tick, outcome chan error) {
	started, outcome = make(chan Tick, 10), make(chan error)
	return func(_ context.Context, tick Tick) error {
		started <- tick
		return <-outcome
	}, started, outcome
}

func TestCronTellsTheTick(t *testing.T) {
	run, started, outcome := blocking()
	c := setupCron(t, run)
	c.cron.Location = location(t, "Europe/Berlin")
	c.seen().lead(7).at(time.Minute + time.Millisecond)
	want := Tick{Job: "job", ScheduledAt: c.epoch.Add(time.Minute), Attempt: 1, Term: 7}
	got := within(t, "the tick", started)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tick -want +got\n%s", diff)
	}
	if name := got.ScheduledAt.Location().String(); name != "Europe/Berlin" {
		t.Errorf("ScheduledAt is in %s", name)
	}
	outcome <- nil
	c.quit()
	c.wantRuns(cronRun{After: time.Minute, Outcome: "ok"})
	stats := c.job.stats()
	if stats.Started != 1 || stats.Succeeded != 1 || stats.Running || !stats.LastSuccess.Equal(c.clock.read()) {
		t.Errorf("stats: %+v", stats)
	}
	if next := c.epoch.Add(2 * time.Minute); !stats.Next.Equal(next) {
		t.Errorf("next tick: got %s, want %s", stats.Next, next)
	}
}

func TestCronFailures(t *testing.T) {
	for _, test := range []struct {
		name     string
		run      TickFunc
		want     string // prefix of the error in the row
		inTheLog string
	}{
		{"error", func(context.Context, Tick) error { return errors.New("no disk") }, "no disk", "no disk"},
		{"panic", func(context.Context, Tick) error { panic("boom") }, "panic: boom", "TestCronFailures"},
		{"goexit", func(context.Context, Tick) error { runtime.Goexit(); return nil }, "the function ended its goroutine", ""},
		{"timeout", func(ctx context.Context, _ Tick) error { <-ctx.Done(); return ctx.Err() }, "not done within its timeout of 10ms", ""},
		{"unprintable", func(context.Context, Tick) error { return errors.New("a\x00b\xff" + strings.Repeat("x", 1<<20)) }, "a\uFFFDb\uFFFDx", ""},
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
				if run.Outcome != "failed" || !strings.HasPrefix(run.Error, test.want) || len(run.Error) > maxErrorText+8 {
					t.Errorf("got %s with %.80q, want failed with %q", run.Outcome, run.Error, test.want)
				}
			}
			if !strings.Contains(c.log.String(), test.inTheLog) {
				t.Errorf("%q is not in the log:\n%s", test.inTheLog, &c.log)
			}
		})
	}
}

func TestCronSkipsAnOverlap(t *testing.T) {
	run, started, outcome := blocking()
	c := setupCron(t, run).seen().lead(1)
	c.at(time.Minute)
	within(t, "the first tick", started)
	c.at(2 * time.Minute)
	c.at(3 * time.Minute)
	outcome <- nil
	c.idle()
	c.at(4 * time.Minute)
	within(t, "the tick after the overlap", started)
	outcome <- nil
	c.quit()
	c.wantRuns(
		cronRun{time.Minute, "ok", ""},
		cronRun{2 * time.Minute, "skipped", "the previous run was still going"},
		cronRun{3 * time.Minute, "skipped", "the previous run was still going"},
		cronRun{4 * time.Minute, "ok", ""},
	)
	if skipped := c.job.stats().Skipped; skipped != 2 {
		t.Errorf("counted %d skipped ticks, want 2", skipped)
	}
}

func TestCronStopWaitsForTheRun(t *testing.T) {
	run, started, outcome := blocking()
	c := setupCron(t, run).seen().lead(1)
	c.at(time.Minute)
	within(t, "the tick", started)
	close(c.stop)
	outcome <- nil // nobody would take it from a job that has ended without the outcome
	if err := within(t, "the job to end", c.ended); err != nil {
		t.Error(err)
	}
	c.wantRuns(cronRun{time.Minute, "ok", ""})
}

func TestCronStopBeginsNothing(t *testing.T) {
	c := setupCron(t, func(context.Context, Tick) error { return nil }).seen()
	job, err := newCronJob(c.cron, c.pool, DefaultSchema, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	job.now = func() time.Time { return c.epoch.Add(time.Minute) } // a tick is due
	stopped := make(chan struct{})
	close(stopped)
	if err := job.run(t.Context(), 1, stopped); err != nil {
		t.Error(err)
	}
	c.wantRuns()
}

func TestCronCancelEndsTheRun(t *testing.T) {
	started := make(chan struct{})
	c := setupCron(t, func(ctx context.Context, _ Tick) error {
		close(started)
		<-ctx.Done()
		return ctx.Err()
	}).seen().lead(1)
	c.at(time.Minute)
	within(t, "the tick", started)
	c.cancel()
	if err := within(t, "the job to end", c.ended); err != nil {
		t.Error(err)
	}
	c.wantRuns(cronRun{time.Minute, "interrupted", "context canceled"})
}

// collecting is a TickFunc that reports each tick and ends at once.
func collecting() (TickFunc, chan Tick) {
	ran := make(chan Tick, 10)
	return func(_ context.Context, tick Tick) error {
		ran <- tick
		return nil
	}, ran
}

func TestCronClockSetBack(t *testing.T) {
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

func TestCronLosesItsConnections(t *testing.T) {
	run, ran := collecting()
	c := setupCron(t, run).seen().lead(1)
	admin, err := pgx.ConnectConfig(t.Context(), c.pool.Config().ConnConfig)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(context.Background())
	for _, minute := range []time.Duration{1, 2, 3} {
		if _, err := admin.Exec(t.Context(), `select pg_terminate_backend(pid, 5000) from pg_stat_activity
			where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'`); err != nil {
			t.Fatal(err)
		}
		c.tick(minute*time.Minute, ran)
	}
	c.quit()
	c.wantRuns(cronRun{time.Minute, "ok", ""}, cronRun{2 * time.Minute, "ok", ""}, cronRun{3 * time.Minute, "ok", ""})
}
