package cron

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/cron/internal/rows"
	"github.com/pgsolo/pgsolo/jobs/internal/loop"
	"github.com/pgsolo/pgsolo/jobs/schedule"
)

// fakeClock stands still until it is set, and its timers fire when the test says so.
type fakeClock struct {
	mu  sync.Mutex // guards all below
	now time.Time

	// timer is that of the latest wait, nil before the first one. It is unbuffered: a send is taken by that wait or not
	// at all.
	timer chan time.Time
	next  chan struct{} // closed when the next wait begins
	waits time.Duration // how long the latest wait lasts at most
}

// wait is what the loop waits for, for any time.
func (c *fakeClock) wait(d time.Duration) <-chan time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timer, c.waits = make(chan time.Time), d
	close(c.next)
	c.next = make(chan struct{})
	return c.timer
}

// waiting returns the timer of the latest wait, and what is closed when the next one begins.
func (c *fakeClock) waiting() (timer chan<- time.Time, next <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.timer, c.next
}

// wake ends a wait of the loop. What it returns is closed when the loop waits again: all that followed is done then.
func (c *fakeClock) wake(t *testing.T) (done <-chan struct{}) {
	t.Helper()
	tooLong := time.After(pgtest.Patience)
	for {
		timer, next := c.waiting()
		select {
		case timer <- time.Time{}:
			return next
		case <-next: // that wait has ended by something else
		case <-tooLong:
			t.Fatal("the loop does not wait")
		}
	}
}

func (c *fakeClock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// move moves the clock. The loop sees it when it wakes for another reason.
func (c *fakeClock) move(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}

// set moves the clock and has the loop scan, to the end. The loop waits then, and until an attempt ends or the
// test does something, it reads neither the clock nor the database.
func (c *fakeClock) set(t *testing.T, now time.Time) {
	t.Helper()
	c.move(now)
	pgtest.Within(t, "the loop to wait again", c.wake(t))
}

// runRow is a row of cron_run.
type runRow struct {
	After   time.Duration // since the test's epoch
	Outcome string
	Error   string
}

// cronTest runs a job, of one tick a minute unless changed, on a fake clock that begins half a minute after epoch.
type cronTest struct {
	t     *testing.T
	pool  *pgxpool.Pool
	cron  Job
	clock *fakeClock
	epoch time.Time
	log   pgtest.Buffer

	stop     chan struct{}
	cancel   context.CancelFunc
	ended    chan error
	job      *job
	all      *Scheduler
	notified chan string // makes it read commands
	others   []Job

	forgetAfter time.Duration
	term        int64
	ahead       atomic.Int64 // of the database's clock
}

func setupCron(t *testing.T, run TickFunc) *cronTest {
	epoch := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return &cronTest{
		t: t, pool: jobstest.Pool(t), epoch: epoch,
		cron:     Job{Name: "job", Schedules: []string{"* * * * *"}, Run: run},
		clock:    &fakeClock{next: make(chan struct{}), now: epoch.Add(30 * time.Second)},
		notified: make(chan string),
	}
}

// seen makes the job known, with the tick at epoch as its last.
func (c *cronTest) seen() *cronTest {
	c.t.Helper()
	schedules, err := schedule.ParseAll(c.cron.Schedules, c.cron.Location)
	if err != nil {
		c.t.Fatal(err)
	}
	c.exec(`insert into pgsolo.cron_job (job, schedule, last_at) values ('job', $1, $2)`, schedules.String(), c.epoch)
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
	scheduler, err := New(Options{
		Pool: c.pool, Schema: jobs.DefaultSchema, Group: "main", Jobs: append([]Job{c.cron}, c.others...),
		Subscribe: func(string) (jobs.Subscription, error) {
			return jobs.Subscription{Messages: c.notified, Close: func() {}}, nil
		},
		Logger: hclog.New(&hclog.LoggerOptions{Output: &c.log}), ForgetAfter: c.forgetAfter,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	scheduler.now, scheduler.after = c.clock.read, c.clock.wait
	scheduler.serverNow = func(context.Context) (time.Time, error) {
		return c.clock.read().Add(-time.Duration(c.ahead.Load())), nil
	}
	c.term, c.all, c.job, c.stop, c.ended = term, scheduler, scheduler.jobs[0], make(chan struct{}), make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	c.cancel = cancel
	running.Go(func() { c.ended <- scheduler.Run(ctx, jobs.Lead{Number: term, Holder: "here", Stopping: c.stop}) })
	c.t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	c.clock.set(c.t, c.clock.read())
	return c
}

// claim makes a term of a group the one that may write these jobs.
func (c *cronTest) claim(store rows.Store, term int64, all []*job) (rows.Claim, error) {
	c.t.Helper()
	var known []rows.Job
	for _, j := range all {
		known = append(known, j.row())
	}
	return store.Claim(c.t.Context(), term, known, c.clock.read(), func(string, rows.HeldOwner) bool { return true })
}

// termOf is a first term, whose steps the test takes.
func termOf(t *testing.T, s *Scheduler) *term {
	t.Helper()
	leadership, end := loop.Lead(t.Context(), 1, "", nil, nil)
	t.Cleanup(end)
	return newTerm(s, leadership)
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
	tick := pgtest.Within(c.t, "the tick", ran)
	c.idle()
	return tick
}

func (c *cronTest) idle() {
	c.t.Helper()
	pgtest.Eventually(c.t, "the run to end", func() bool {
		return !pgtest.Value[bool](c.t, c.pool, `select exists (select from pgsolo.cron_run where outcome = 'running')`)
	})
}

// quit stops the job as planned.
func (c *cronTest) quit() {
	c.t.Helper()
	close(c.stop)
	if err := pgtest.Within(c.t, "the job to end", c.ended); err != nil {
		c.t.Errorf("planned stop: %v", err)
	}
}

// notify has the leader read the commands, to the end.
func (c *cronTest) notify() {
	c.t.Helper()
	select {
	case c.notified <- "":
	case <-time.After(pgtest.Patience):
		c.t.Fatal("the loop does not listen")
	}
	c.scan()
}

func (c *cronTest) runs() []runRow {
	c.t.Helper()
	rows, err := c.pool.Query(c.t.Context(),
		`select scheduled_at - $1, outcome, coalesce(error, '') from pgsolo.cron_run order by scheduled_at`, c.epoch)
	if err != nil {
		c.t.Fatal(err)
	}
	runs, err := pgx.CollectRows(rows, pgx.RowToStructByPos[runRow])
	if err != nil {
		c.t.Fatal(err)
	}
	return runs
}

func (c *cronTest) wantRuns(want ...runRow) {
	c.t.Helper()
	if diff := cmp.Diff(want, c.runs(), cmpopts.EquateEmpty()); diff != "" {
		c.t.Errorf("runs -want +got\n%s", diff)
	}
}

// blocking is a TickFunc that reports its start and goes on until it is given its outcome, whatever its context says.
func blocking(t *testing.T) (run TickFunc, started chan Tick, outcome chan error) {
	started, outcome = make(chan Tick, 10), make(chan error)
	return func(_ context.Context, tick Tick) error {
		started <- tick
		select {
		case err := <-outcome:
			return err
		case <-t.Context().Done():
			return errors.New("the test has ended")
		}
	}, started, outcome
}

// collecting is a TickFunc that reports each tick and ends at once.
func collecting() (TickFunc, chan Tick) {
	ran := make(chan Tick, 10)
	return func(ctx context.Context, tick Tick) error {
		select {
		case ran <- tick:
		case <-ctx.Done():
		}
		return nil
	}, ran
}

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	loaded, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}
