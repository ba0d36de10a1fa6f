package wake

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/logread"
	"github.com/pgsolo/pgsolo/jobs/internal/loop"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// sleeper is a reader of the log that does nothing but note that it was woken.
type sleeper struct {
	woken, asked chan struct{} // capacity 1
	seen, read   atomic.Int64
}

func (s *sleeper) Ring() { loop.Signal(s.woken) }

func (s *sleeper) RetryNow() { loop.Signal(s.asked) }

func (s *sleeper) SeenTo() int64 { return s.seen.Load() }

func (s *sleeper) Claim() *logread.Claim { return nil }

func (s *sleeper) RowsRead() int64 { return s.read.Load() }

// setupPoll returns a poll for n readers.
func setupPoll(pool *pgxpool.Pool, n int) (p *Poll, readers []*sleeper) {
	p = NewPoll(PollOptions{
		DB: pg.DB{Pool: pool, Schema: jobs.DefaultSchema}, Logger: hclog.NewNullLogger(), Rings: new(atomic.Int64),
	})
	for range n {
		s := &sleeper{woken: make(chan struct{}, 1), asked: make(chan struct{}, 1)}
		p.Consumers, readers = append(p.Consumers, s), append(readers, s)
	}
	return p, readers
}

// polled polls, and says which consumers that rang.
func polled(t *testing.T, p *Poll) (rang []bool, came bool) {
	t.Helper()
	came, err := p.poll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range p.Consumers {
		select {
		case <-c.(*sleeper).woken:
			rang = append(rang, true)
		default:
			rang = append(rang, false)
		}
	}
	return rang, came
}

func TestPollRingsWhoHasNotSeenTheEnd(t *testing.T) {
	pool := jobstest.Pool(t)
	p, readers := setupPoll(pool, 2)
	check := func(when string, wantCame bool, want ...bool) {
		t.Helper()
		rang, came := polled(t, p)
		if !slices.Equal(rang, want) || came != wantCame {
			t.Errorf("%s: rang %v, came %t; want %v, %t", when, rang, came, want, wantCame)
		}
	}
	check("nothing was ever emitted", false, false, false)
	id := jobstest.Emit(t, pool, "t", `1`)
	check("an event", true, true, true)
	readers[0].seen.Store(id)
	readers[0].read.Add(1)
	check("one has read it", true, false, true)
	readers[1].seen.Store(id)
	check("both have, without a row", false, false, false)
	id = jobstest.Emit(t, pool, "else", `1`)
	check("another event", true, true, true)
	readers[0].seen.Store(id)
	readers[1].seen.Store(id)
	check("and both have seen it", false, false, false)
	if given := p.Given(); given != id {
		t.Errorf("given = %d, want %d", given, id)
	}
}

// An id that its transaction has taken is waited for until that has ended, and no longer: the log of an idle leader may
// end with one that rolled back.
func TestPollWaitsForTheTransactionsAtTheEnd(t *testing.T) {
	pool := jobstest.Pool(t)
	p, readers := setupPoll(pool, 1)
	open := jobstest.Begin(t, pool)
	jobstest.Emit(t, open, "t", `1`)
	for range 10 {
		if rang, _ := polled(t, p); !rang[0] {
			t.Fatal("not rung although the transaction may commit yet")
		}
	}
	if err := open.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	// a number from before the horizon does not hold it up, one from after does not either
	older := jobstest.Begin(t, pool)
	pgtest.Value[string](t, older, `select pg_current_xact_id()::text`)
	pgtest.Eventually(t, "the last ring", func() bool {
		rang, _ := polled(t, p)
		return !rang[0]
	})
	if p.settled != 1 || readers[0].seen.Load() != 0 {
		t.Errorf("settled = %d, want 1, the id that rolled back", p.settled)
	}
	later := jobstest.Begin(t, pool)
	jobstest.Emit(t, later, "t", `1`)
	for range 3 {
		if rang, _ := polled(t, p); !rang[0] {
			t.Error("not rung for what came after it, although its transaction may commit yet")
		}
	}
}

// The ring after which the end counts as settled has to come after its transactions have ended, or what they committed
// last would be missed.
func TestPollRingsOnceMoreAfterTheEndHasSettled(t *testing.T) {
	pool := jobstest.Pool(t)
	p, _ := setupPoll(pool, 1)
	open := jobstest.Begin(t, pool)
	jobstest.Emit(t, open, "t", `1`)
	for range 3 {
		polled(t, p)
	}
	jobstest.Commit(t, open)
	if rang, _ := polled(t, p); !rang[0] {
		t.Error("not rung for what was committed after the poll before")
	}
	pgtest.Eventually(t, "the last ring", func() bool { // at once, unless something else in the server is as old
		rang, _ := polled(t, p)
		return !rang[0]
	})
	if p.settled != 1 {
		t.Errorf("settled = %d, want 1", p.settled)
	}
}

func TestPollOfARoleThatMayNotRead(t *testing.T) {
	pool := jobstest.RoleOf(t, jobstest.Pool(t), `grant usage on sequence pgsolo.event_id_seq to {role}`)
	p, _ := setupPoll(pool, 1)
	warnings := new(strings.Builder)
	p.Logger = hclog.New(&hclog.LoggerOptions{Output: warnings})
	for i := range 3 {
		if rang, came := polled(t, p); !rang[0] || came {
			t.Errorf("poll %d: rung %t, came %t: want every poll to ring", i, rang[0], came)
		}
	}
	if n := strings.Count(warnings.String(), "grant select on sequence pgsolo.event_id_seq to "); n != 1 {
		t.Errorf("%d warnings, want 1:\n%s", n, warnings)
	}
}

func TestPollIntervals(t *testing.T) {
	for _, test := range []struct {
		bell, came     bool
		interval, want time.Duration
	}{
		{false, false, minPoll, 2 * minPoll},
		{false, false, 800 * time.Millisecond, MaxPoll},
		{false, false, MaxPoll, MaxPoll},
		{false, true, MaxPoll, minPoll},
		{true, true, MaxPoll, MaxPoll},
		{true, true, minPoll, 2 * minPoll},
	} {
		p := NewPoll(PollOptions{Bell: test.bell})
		if got := p.after(test.interval, test.came); got != test.want {
			t.Errorf("bell %t, came %t: %s after %s, want %s", test.bell, test.came, got, test.interval, test.want)
		}
	}
}

// However much the log holds, a poll looks at a few rows of it for each point that it is asked about.
func TestPollReadsNoMoreThanItNeeds(t *testing.T) {
	pool := jobstest.Pool(t)
	jobstest.MustExec(t, pool, `alter table pgsolo.event set (autovacuum_enabled = false)`) // which analyzes, too
	jobstest.EmitMany(t, pool, 20_000)
	var (
		now     = time.Now()
		ids     = []int64{1, 5_000, 10_000, 20_000, 100_000}
		ats     = []*time.Time{&now, &now, &now, &now, &now}
		numbers = make([]*int64, len(ids))
	)
	for _, state := range []string{"select", "analyze pgsolo.event"} {
		jobstest.MustExec(t, pool, state)
		if rows, plan := jobstest.RowsRead(t, pool, "event", selectEnd, ids, ats, numbers); rows > 1000*len(ids) {
			t.Errorf("after %q, a poll looks at %d events:\n%s", state, rows, plan)
		}
	}
}
