package cron

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/admin"
	"github.com/pgsolo/pgsolo/jobs/cron/internal/rows"
)

// TestModel does things at random to a job of random policies: ticks, ends, failures, leaders that stop, are cancelled
// and are killed, steps of the clock, manual runs. PGSOLO_CRON_SEED repeats one.
func TestModel(t *testing.T) {
	if seed, err := strconv.ParseUint(os.Getenv("PGSOLO_CRON_SEED"), 10, 64); err == nil {
		testModel(t, seed)
		return
	}
	for range 16 {
		seed := rand.Uint64()
		t.Run(fmt.Sprint(seed), func(t *testing.T) { testModel(t, seed) })
	}
}

// cronModel is what is known of a job from its calls.
type cronModel struct {
	*cronTest
	random *rand.Rand

	mu       sync.Mutex // guards all below
	active   map[*call]bool
	attempts map[int64]int  // the latest one of each run, by its scheduled time
	forced   map[int64]bool // the manual runs
	over     chan struct{}  // closed when the leader has to end
	latest   time.Time      // the clock
}

func testModel(t *testing.T, seed uint64) {
	m := &cronModel{
		random: rand.New(rand.NewPCG(seed, 0)), active: map[*call]bool{},
		attempts: map[int64]int{}, forced: map[int64]bool{}, over: make(chan struct{}),
	}
	m.cronTest = setupCron(t, m.run).seen()
	m.cron.Overlap = pick(m.random, OverlapSkip, OverlapQueue, OverlapReplace, OverlapAllow)
	m.cron.Missed = pick(m.random, MissedSkip, MissedOnce, MissedAll)
	m.cron.OnInterrupt = pick(m.random, InterruptAbandon, InterruptRetry)
	m.cron.StartingDeadline = pick(m.random, 2*minute, 48*time.Hour)
	m.cron.Retry = jobs.Retry{Attempts: pick(m.random, 1, 3), Backoff: 30 * time.Second, MaxBackoff: 5 * minute}
	m.cron.Jitter = pick(m.random, 0, 0, 30*time.Second)
	m.cron.History = History{Runs: -1, MaxAge: -1, FailedRuns: -1, FailedMaxAge: -1}
	t.Logf("%s %s %s, deadline %s, %d attempts, jitter %s", m.cron.Overlap, m.cron.Missed, m.cron.OnInterrupt,
		m.cron.StartingDeadline, m.cron.Retry.Attempts, m.cron.Jitter)
	m.latest = m.clock.read()
	m.lead(1)
	for range 60 {
		m.step()
	}
	m.settle()
	m.check()
}

func pick[T any](random *rand.Rand, from ...T) T { return from[random.IntN(len(from))] }

// run is the job's function. It ends when the test says so, or with its context; some go on although they are replaced.
func (m *cronModel) run(ctx context.Context, tick Tick) error {
	c := &call{tick, ctx, make(chan error, 1)}
	over := m.starts(c)
	defer m.ends(c)
	select {
	case err := <-c.end:
		return err
	case <-ctx.Done():
	}
	if _, replaced := errors.AsType[*replacedError](context.Cause(ctx)); replaced && tick.ScheduledAt.Unix()%120 == 0 {
		select {
		case err := <-c.end:
			return err
		case <-over:
		}
	}
	return context.Cause(ctx)
}

// starts checks a start against those before it.
func (m *cronModel) starts(c *call) (over chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := c.ScheduledAt.UnixMicro()
	if before := m.attempts[key]; c.Attempt != before+1 {
		m.t.Errorf("attempt %d of %s comes after %d", c.Attempt, c.ScheduledAt, before)
	}
	m.attempts[key] = c.Attempt
	for other := range m.active {
		mayOverlap := m.forced[key] || m.forced[other.ScheduledAt.UnixMicro()] ||
			m.cron.Overlap == OverlapAllow && !(m.cron.Missed == MissedAll && c.CatchUp && other.CatchUp)
		if !mayOverlap {
			m.t.Errorf("%+v starts during %+v", c.Tick, other.Tick)
		}
	}
	m.active[c] = true
	return m.over
}

func (m *cronModel) ends(c *call) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.active, c)
}

// calls returns what is under way, the oldest first.
func (m *cronModel) calls() []*call {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []*call
	for c := range m.active {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *call) int { return a.ScheduledAt.Compare(b.ScheduledAt) })
	return all
}

func (m *cronModel) step() {
	n := m.random.IntN(100)
	under := m.calls()
	switch {
	case n < 40:
		m.to(m.clock.read().Add(time.Duration(m.random.IntN(90_000)) * time.Millisecond))
		m.scan()
	case n < 45:
		m.to(m.clock.read().Add(-time.Duration(m.random.IntN(180_000)) * time.Millisecond))
		m.scan()
	case n < 75:
		if len(under) > 0 {
			m.end(pick(m.random, under...))
		}
	case n < 85:
		force := m.random.IntN(3) == 0
		m.mu.Lock()
		at, err := admin.CronJobs{}.Trigger(m.t.Context(), m.pool, "job", force)
		m.forced[at.UnixMicro()] = force
		m.mu.Unlock()
		if err != nil {
			m.t.Fatal(err)
		}
		m.notify()
	default:
		m.newLeader(under)
	}
}

func (m *cronModel) to(now time.Time) {
	m.clock.move(now)
	if now.After(m.latest) {
		m.latest = now
	}
}

// end ends a call in some way, and waits until that is written.
func (m *cronModel) end(c *call) {
	c.end <- m.outcome()
	m.cronTest.over(c.Tick)
}

func (m *cronModel) outcome() error {
	return pick(m.random, nil, nil, nil, errNoDisk, jobs.Discard(errNoDisk), jobs.RetryAfter(2*minute, errNoDisk))
}

func (m *cronModel) newLeader(under []*call) {
	kill := func() { // what is due or has ended by now is not written
		m.term++
		m.exec(`update pgsolo.cron_leader set term = $1`, m.term)
		if len(under) > 0 && m.random.IntN(2) == 0 {
			under[0].end <- nil
		} else if m.random.IntN(2) == 0 {
			m.to(m.clock.read().Add(minute))
			m.wakeUnlessOver()
		}
	}
	how := m.random.IntN(4)
	switch how {
	case 0: // planned
		m.drain()
	case 1: // planned, and too slow
		close(m.stop)
		m.cancel()
	case 2:
		m.cancel()
	case 3:
		kill()
		m.cancel()
	}
	m.takeOver()
	if how > 0 {
		m.takeInCutOffStarts()
	}
	m.to(m.clock.read().Add(time.Duration(m.random.IntN(150)-10) * time.Second))
	m.leadNext()
}

// wakeUnlessOver ends a wait of the leader, unless that knows already that it is over, and waits for its runs.
func (m *cronModel) wakeUnlessOver() {
	m.t.Helper()
	pgtest.Eventually(m.t, "the leader to wake", func() bool {
		timer, _ := m.clock.waiting()
		select {
		case timer <- time.Time{}:
			return true
		default: // it is at work, or over
		}
		cutOff := func(c *call) bool { return c.ctx.Err() != nil }
		return len(m.ended) > 0 || slices.ContainsFunc(m.calls(), cutOff)
	})
}

// takeInCutOffStarts counts what a leader that was cut off has written and not called. It may have been at work: a run
// that is replaced ends by itself, and the next one starts then.
func (m *cronModel) takeInCutOffStarts() {
	m.t.Helper()
	if m.cron.Overlap != OverlapReplace {
		return
	}
	runs, err := admin.CronJobs{}.Runs(m.t.Context(), m.pool, "job", time.Time{}, 100_000)
	if err != nil {
		m.t.Fatal(err)
	}
	for _, r := range runs {
		if key := r.ScheduledAt.UnixMicro(); r.Outcome == rows.Running && m.attempts[key] == r.Attempt-1 {
			m.attempts[key] = r.Attempt
		}
	}
}

// drain stops the leader as planned, while its calls come to their ends.
func (m *cronModel) drain() {
	m.t.Helper()
	close(m.stop)
	pgtest.Eventually(m.t, "the drain", func() bool {
		for _, c := range m.calls() {
			select {
			case c.end <- m.outcome():
			default: // it has its outcome
			}
		}
		return len(m.ended) > 0
	})
}

// takeOver waits for the leader's end.
func (m *cronModel) takeOver() {
	m.t.Helper()
	close(m.over)
	if err := pgtest.Within(m.t, "the leader to end", m.ended); err != nil && !errors.Is(err, jobs.ErrFenced) {
		m.t.Errorf("the leader ended with %v", err)
	}
	if left := m.calls(); len(left) > 0 {
		m.t.Errorf("%d calls outlive their leader", len(left))
	}
	m.over = make(chan struct{})
}

// settle lets all that is open come to its end, with no ticks beside it.
func (m *cronModel) settle() {
	m.t.Helper()
	m.to(m.latest.Add(2 * minute))
	m.scan()
	m.drain()
	m.takeOver()
	m.cron.Disabled = true
	m.leadNext()
	pgtest.Eventually(m.t, "all that is open to end", func() bool {
		for _, c := range m.calls() {
			m.end(c)
		}
		m.clock.set(m.t, m.clock.read().Add(minute))
		return pgtest.Value[bool](m.t, m.pool,
			`select not exists (select from pgsolo.cron_run where outcome in ('queued', 'running', 'retrying'))`)
	})
	m.quit()
}

// check compares the rows with what was started.
func (m *cronModel) check() {
	m.t.Helper()
	history, err := admin.CronJobs{}.Runs(m.t.Context(), m.pool, "job", time.Time{}, 100_000)
	if err != nil {
		m.t.Fatal(err)
	}
	seen := map[int64]bool{}
	for _, row := range history {
		key := row.ScheduledAt.UnixMicro()
		seen[key] = true
		switch row.Outcome {
		case rows.Queued, rows.Running, rows.Retrying:
			m.t.Errorf("left open: %+v", row)
		}
		if m.attempts[key] != row.Attempt {
			m.t.Errorf("%d attempts were started, the row says %+v", m.attempts[key], row)
		}
	}
	for key := range m.attempts {
		if !seen[key] {
			m.t.Errorf("no row of what started at %s", time.UnixMicro(key))
		}
	}
	if m.cron.Missed != MissedAll || m.cron.StartingDeadline < time.Hour {
		return
	}
	for at := m.epoch.Add(minute); !at.After(m.latest.Add(-minute)); at = at.Add(minute) {
		if !seen[at.UnixMicro()] {
			m.t.Errorf("no row of the tick of %s", at)
		}
	}
}
