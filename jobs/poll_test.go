package jobs

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// setupPoll returns a poll for n consumers that nobody runs.
func setupPoll(pool *pgxpool.Pool, n int) *poll {
	rings := new(atomic.Int64)
	p := &poll{
		log: newLogReader(pool, DefaultSchema, ""), logger: hclog.NewNullLogger(), rings: rings, restart: make(chan struct{}, 1),
	}
	for range n {
		p.consumers = append(p.consumers, newConsumer(Handler{Name: "h", Topic: "t"}, newEventLog(p.log, rings), p.logger))
	}
	return p
}

// looked makes the poll look, and says which consumers it rang.
func looked(t *testing.T, p *poll) (rang []bool, came bool) {
	t.Helper()
	came, err := p.look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range p.consumers {
		select {
		case <-c.wake:
			rang = append(rang, true)
		default:
			rang = append(rang, false)
		}
	}
	return rang, came
}

func TestPollRingsWhoHasNotSeenTheEnd(t *testing.T) {
	pool := setup(t)
	p := setupPoll(pool, 2)
	check := func(when string, wantCame bool, want ...bool) {
		t.Helper()
		rang, came := looked(t, p)
		if !slices.Equal(rang, want) || came != wantCame {
			t.Errorf("%s: rang %v, came %t; want %v, %t", when, rang, came, want, wantCame)
		}
	}
	check("nothing was ever emitted", false, false, false)
	id := emit(t, pool, "t", `1`)
	check("an event", true, true, true)
	p.consumers[0].latest.Store(id)
	p.consumers[0].counters.read.Add(1)
	check("one has read it", true, false, true)
	p.consumers[1].latest.Store(id)
	check("both have, without a row", false, false, false)
	id = emit(t, pool, "else", `1`)
	check("another event", true, true, true)
	p.consumers[0].latest.Store(id)
	p.consumers[1].latest.Store(id)
	check("and both have seen it", false, false, false)
	if given := p.given.Load(); given != id {
		t.Errorf("given = %d, want %d", given, id)
	}
}

// An id that its transaction has taken is waited for until that has ended, and no longer: the log of an idle leader may end with
// one that rolled back.
func TestPollWaitsForTheTransactionsAtTheEnd(t *testing.T) {
	pool := setup(t)
	p := setupPoll(pool, 1)
	open := begin(t, pool)
	emit(t, open, "t", `1`)
	for range 10 {
		if rang, _ := looked(t, p); !rang[0] {
			t.Fatal("not rung although the transaction may commit yet")
		}
	}
	if err := open.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	older := begin(t, pool) // a number from before the horizon does not hold it up, one from after does not either
	pgtest.Value[string](t, older, `select pg_current_xact_id()::text`)
	pgtest.Eventually(t, "the last ring", func() bool {
		rang, _ := looked(t, p)
		return !rang[0]
	})
	if p.settled != 1 || p.consumers[0].latest.Load() != 0 {
		t.Errorf("settled = %d, want 1, the id that rolled back", p.settled)
	}
	later := begin(t, pool)
	emit(t, later, "t", `1`)
	for range 3 {
		if rang, _ := looked(t, p); !rang[0] {
			t.Error("not rung for what came after it, although its transaction may commit yet")
		}
	}
}

// The ring after which the end counts as settled has to come after its transactions have ended, or what they committed last would
// be missed.
func TestPollRingsOnceMoreAfterTheEndHasSettled(t *testing.T) {
	pool := setup(t)
	p := setupPoll(pool, 1)
	open := begin(t, pool)
	emit(t, open, "t", `1`)
	for range 3 {
		looked(t, p)
	}
	commit(t, open)
	if rang, _ := looked(t, p); !rang[0] {
		t.Error("not rung for what was committed after the look before")
	}
	pgtest.Eventually(t, "the last ring", func() bool { // at once, unless something else in the server is as old
		rang, _ := looked(t, p)
		return !rang[0]
	})
	if p.settled != 1 {
		t.Errorf("settled = %d, want 1", p.settled)
	}
}

func TestPollOfARoleThatMayNotLook(t *testing.T) {
	pool := roleOf(t, setup(t), `grant usage on sequence pgsolo.event_id_seq to {role}`)
	p := setupPoll(pool, 1)
	warnings := new(strings.Builder)
	p.logger = hclog.New(&hclog.LoggerOptions{Output: warnings})
	for i := range 3 {
		if rang, came := looked(t, p); !rang[0] || came {
			t.Errorf("look %d: rung %t, came %t: want every look to ring", i, rang[0], came)
		}
	}
	if n := strings.Count(warnings.String(), "grant select on it"); n != 1 {
		t.Errorf("%d warnings, want 1:\n%s", n, warnings)
	}
}

// roleOf returns a pool of a role that may use the schema and has these grants. {role} in a grant is it.
func roleOf(t *testing.T, pool *pgxpool.Pool, grants ...string) *pgxpool.Pool {
	t.Helper()
	_, role := sessionOf(t, pool, grants...)
	config := pool.Config()
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `set role `+role)
		return err
	}
	limited, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(limited.Close)
	return limited
}

// Without a bell nobody is told to ring, also not by what an earlier leader has left behind, and events are found all the same.
func TestPollWithoutABell(t *testing.T) {
	pool := setup(t)
	mustExec(t, pool, `select pgsolo.arm('main', true, 1)`)
	handler, events := recorder("h", "t")
	l := leadWith(t, 2, Options{Pool: pool, Handlers: []Handler{handler}})
	pgtest.Eventually(t, "the bell to be disarmed", func() bool {
		return pgtest.Value[bool](t, pool, `select not armed and term = 2 from pgsolo.doorbell`)
	})
	listen := ownSession(t, pool)
	mustExec(t, listen, `listen "pgsolo.event"`)
	for range 3 {
		id := emit(t, pool, "t", `1`)
		if got := pgtest.Within(t, "the event", events); got.ID != id {
			t.Errorf("got event %d, want %d", got.ID, id)
		}
	}
	late := begin(t, pool)
	id := emit(t, late, "t", `1`)
	pgtest.Eventually(t, "a look that shows nothing", func() bool { return l.runner.poll.given.Load() == id })
	commit(t, late)
	pgtest.Within(t, "the late event", events)
	if mode := l.runner.ringMode.Load(); mode != RingOff {
		t.Errorf("ring mode %q, want off", mode)
	}
	l.quit()
	mustExec(t, pool, `select pg_notify('pgsolo.event', 'last')`)
	if message := ringOn(t, listen); message != "last" {
		t.Errorf("a producer rang: %q", message)
	}
	stale := leadWith(t, 1, Options{Pool: pool, Handlers: []Handler{handler}})
	if err := pgtest.Within(t, "the end", stale.ended); !errors.Is(err, ErrFenced) {
		t.Error("a stale leader was not refused")
	}
}

func TestPollIntervals(t *testing.T) {
	for _, test := range []struct {
		bell, came     bool
		interval, want time.Duration
	}{
		{false, false, minPoll, 2 * minPoll},
		{false, false, 800 * time.Millisecond, maxPoll},
		{false, false, maxPoll, maxPoll},
		{false, true, maxPoll, minPoll},
		{true, true, maxPoll, maxPoll},
		{true, true, minPoll, 2 * minPoll},
	} {
		p := &poll{bell: test.bell}
		if got := p.after(test.interval, test.came); got != test.want {
			t.Errorf("bell %t, came %t: %s after %s, want %s", test.bell, test.came, got, test.interval, test.want)
		}
	}
}

// statements counts what a pool sends, by statement.
type statements struct {
	all, ends, reads, dues atomic.Int64
}

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	s.all.Add(1)
	switch data.SQL {
	case selectEnd:
		s.ends.Add(1)
	case selectNew:
		s.reads.Add(1)
	case selectDue:
		s.dues.Add(1)
	}
	return ctx
}

func (s *statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// An idle leader reads neither events nor deliveries, however many topics it has and whatever the log ends with: it looks once
// a second whether it should.
func TestPollLeavesAnIdleLeaderIdle(t *testing.T) {
	for name, bell := range map[string]bool{"with a bell": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it takes its time
			config, err := pgxpool.ParseConfig(pgtest.Database(t))
			if err != nil {
				t.Fatal(err)
			}
			sent := new(statements)
			config.ConnConfig.Tracer = sent
			pool, err := pgxpool.NewWithConfig(context.Background(), config)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(pool.Close)
			options, got := Options{Pool: pool}, make(chan Event, 100)
			for i := range 10 {
				options.Handlers = append(options.Handlers, Handler{
					Name: string(rune('a' + i)), Topic: string(rune('t' + i/2)),
					Handle: func(_ context.Context, e Event) error { got <- e; return nil },
				})
			}
			for i := range 10 {
				emit(t, pool, string(rune('t'+i/2)), `1`)
			}
			undone := begin(t, pool)
			emit(t, undone, "t", `1`)
			if err := undone.Rollback(t.Context()); err != nil {
				t.Fatal(err)
			}
			if bell {
				lead(t, pool, 1, options.Handlers...)
			} else {
				leadWith(t, 1, options)
			}
			for range 20 {
				pgtest.Within(t, "the events", got)
			}
			var begun time.Time
			var ends, reads, dues, all int64
			again := func() {
				begun = time.Now()
				ends, reads, dues, all = sent.ends.Load(), sent.reads.Load(), sent.dues.Load(), sent.all.Load()
			}
			again()
			const looks = 6 // longer than deliveries are left alone
			pgtest.Eventually(t, "looks a second apart, and nothing read", func() bool {
				n := sent.ends.Load() - ends
				if sent.reads.Load() > reads || sent.dues.Load() > dues || time.Since(begun) < time.Duration(n-1)*maxPoll*9/10 {
					again()
				}
				return n >= looks && sent.ends.Load()-ends >= looks
			})
			all = sent.all.Load() - all
			if most := int64(2*time.Since(begun).Seconds()) + 5; all > most {
				t.Errorf("%d statements in %s, want at most %d", all, time.Since(begun), most)
			}
		})
	}
}
