package cron

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/cron/internal/rows"
)

func TestCrashLeavesARun(t *testing.T) {
	run, started, outcome := blocking(t)
	c := setupCron(t, run).seen()
	c.exec(`insert into pgsolo.cron_run (job, scheduled_at, term) values ('job', $1, 1)`, c.epoch)
	c.lead(2).at(time.Minute)
	if got := pgtest.Within(t, "the next tick", started); !got.ScheduledAt.Equal(c.epoch.Add(time.Minute)) {
		t.Errorf("got %+v, want the next tick, not the interrupted one", got)
	}
	outcome <- nil
	c.quit()
	c.wantRuns(
		runRow{0, "interrupted", "the leader of term 1 was gone"},
		runRow{time.Minute, "ok", ""},
	)
	if pgtest.Value[bool](t, c.pool, `select exists (select from pgsolo.cron_run where finished_at is null)`) {
		t.Error("a run has no end")
	}
}

// The tick that the earlier leader has begun under its row is no other leader's.
func TestLeavesATickThatWasBegun(t *testing.T) {
	run, ran := collecting()
	c := setupCron(t, run).seen()
	c.exec(`insert into pgsolo.cron_run (job, scheduled_at, term, outcome) values ('job', $1, 1, 'ok')`,
		c.epoch.Add(time.Minute))
	c.lead(2)
	c.at(time.Minute) // last_at is still epoch
	if got := c.tick(2*time.Minute, ran); !got.ScheduledAt.Equal(c.epoch.Add(2 * time.Minute)) {
		t.Errorf("got %+v, want the tick after the one that was begun", got)
	}
	c.quit()
}

func TestIsFencedDuringARun(t *testing.T) {
	cancelled := make(chan error, 1)
	started := make(chan struct{})
	c := setupCron(t, func(ctx context.Context, _ Tick) error {
		close(started)
		<-ctx.Done()
		cancelled <- context.Cause(ctx)
		return nil
	}).seen().lead(1)
	c.at(time.Minute)
	pgtest.Within(t, "the tick", started)
	if _, err := c.claim(c.all.store, 2, c.all.jobs); err != nil {
		t.Fatal(err)
	}
	c.clock.move(c.epoch.Add(2 * time.Minute))
	c.clock.wake(t) // an overlap, to be recorded
	if cause := pgtest.Within(t, "the run to be cancelled", cancelled); !errors.Is(cause, jobs.ErrFenced) {
		t.Errorf("cancelled because of %v, want %v", cause, jobs.ErrFenced)
	}
	if err := pgtest.Within(t, "the job to end", c.ended); !errors.Is(err, jobs.ErrFenced) {
		t.Errorf("got %v, want %v", err, jobs.ErrFenced)
	}
	c.wantRuns(runRow{time.Minute, "running", ""}) // which is the newer leader's to settle
}

// TestTakeovers passes a fast job from term to term: while the old leader still runs, after it has stopped, and after
// it was cancelled.
func TestTakeovers(t *testing.T) {
	for _, onInterrupt := range []OnInterrupt{InterruptAbandon, InterruptRetry} {
		t.Run(string(onInterrupt), func(t *testing.T) { testTakeovers(t, onInterrupt) })
	}
}

func testTakeovers(t *testing.T, onInterrupt OnInterrupt) {
	const (
		interval = time.Second
		speed    = 25 // of the clock
	)
	var (
		pool    = jobstest.Pool(t)
		epoch   = time.Now()
		ran     = make(chan time.Time, 10_000)
		mu      sync.Mutex // guards starts
		starts  = map[time.Time]int{}
		running sync.WaitGroup
	)
	defer running.Wait()
	begin := func(term int64) (stop, cancel func(), ended chan error) {
		all, err := New(Options{Pool: pool, Schema: jobs.DefaultSchema, Group: "main", Jobs: []Job{{
			Name: "job", Schedules: []string{"@every 1s"}, Missed: MissedAll, OnInterrupt: onInterrupt,
			History: History{Runs: -1},
			Run: func(_ context.Context, tick Tick) error {
				mu.Lock()
				defer mu.Unlock()
				starts[tick.ScheduledAt.UTC()]++
				ran <- tick.ScheduledAt
				return nil
			},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		all.now = func() time.Time { return epoch.Add(speed * time.Since(epoch)).Round(0) }
		all.serverNow = func(context.Context) (time.Time, error) { return all.now(), nil }
		all.after = func(d time.Duration) <-chan time.Time { return time.After(d / speed) }
		all.serverNow = func(context.Context) (time.Time, error) { return all.now(), nil } // which is as fast
		ctx, cancel := context.WithCancel(context.Background())
		stopping, ended := make(chan struct{}), make(chan error, 1)
		running.Go(func() {
			ended <- all.Run(ctx, jobs.Lead{Number: term, Stopping: stopping})
			cancel()
		})
		return sync.OnceFunc(func() { close(stopping) }), cancel, ended
	}

	stop, cancel, ended := begin(1)
	for term := int64(2); term <= 21; term++ {
		for range 4 {
			pgtest.Within(t, "a tick", ran)
		}
		switch term % 3 {
		case 0:
			oldEnded := ended
			stop, cancel, ended = begin(term)
			if err := pgtest.Within(t, "the old leader to end", oldEnded); !errors.Is(err, jobs.ErrFenced) {
				t.Errorf("term %d: ended with %v, want %v", term-1, err, jobs.ErrFenced)
			}
			continue
		case 1:
			stop()
		case 2:
			cancel()
		}
		if err := pgtest.Within(t, "the old leader to end", ended); err != nil {
			t.Errorf("term %d: %v", term-1, err)
		}
		stop, cancel, ended = begin(term)
	}
	pgtest.Eventually(t, "what was cut off to be taken over", func() bool {
		return pgtest.Value[bool](t, pool,
			`select not exists (select from pgsolo.cron_run where outcome = 'retrying' or outcome = 'running'
				and term < 21)`)
	})
	stop()
	pgtest.Within(t, "the last leader to end", ended)

	all, err := pool.Query(t.Context(), `select scheduled_at, outcome from pgsolo.cron_run order by scheduled_at`)
	if err != nil {
		t.Fatal(err)
	}
	var (
		before, at time.Time
		outcome    string
		counts     = map[string]int{}
	)
	if _, err := pgx.ForEachRow(all, []any{&at, &outcome}, func() error {
		if !before.IsZero() && at.Sub(before) != interval {
			t.Errorf("after the tick of %s comes that of %s", before, at)
		}
		before = at
		counts[outcome]++
		n := starts[at.UTC()]
		delete(starts, at.UTC())
		switch {
		case n == 1 && outcome != rows.Skipped && outcome != rows.Queued:
		case n == 0 && outcome == rows.Queued: // and stopped before its turn came
		case n == 0 && outcome == rows.Skipped: // behind a slow one
		case n > 1 && onInterrupt == InterruptRetry:
		// cancelled between the row and the start
		case n == 0 && onInterrupt == InterruptAbandon && outcome == rows.Interrupted:
		default:
			t.Errorf("tick of %s started %d times, outcome %s", at, n, outcome)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(starts) > 0 {
		t.Errorf("%d ticks started without a row: %v", len(starts), starts)
	}
	if counts[rows.Running] > 0 || counts[rows.OK] < 40 {
		t.Errorf("outcomes: %v", counts)
	}
	t.Logf("outcomes: %v", counts)
}
