package eventlog

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/wake"
)

// Without a bell no producer rings, also not by what an earlier leader has left armed, and events are found all
// the same.
func TestPollWithoutABell(t *testing.T) {
	pool := jobstest.Pool(t)
	jobstest.MustExec(t, pool, `select pgsolo.arm('main', true, 1)`)
	handler, events := recorder("h", "t")
	l := leadWith(t, 2, Options{Pool: pool, Handlers: []Handler{handler}})
	pgtest.Eventually(t, "the bell to be disarmed", func() bool {
		return pgtest.Value[bool](t, pool, `select not armed and term = 2 from pgsolo.doorbell`)
	})
	listen := jobstest.OwnSession(t, pool)
	jobstest.MustExec(t, listen, `listen "pgsolo.event"`)
	for range 3 {
		id := jobstest.Emit(t, pool, "t", `1`)
		if got := pgtest.Within(t, "the event", events); got.ID != id {
			t.Errorf("got event %d, want %d", got.ID, id)
		}
	}
	late := jobstest.Begin(t, pool)
	id := jobstest.Emit(t, late, "t", `1`)
	pgtest.Eventually(t, "a poll that shows nothing", func() bool { return l.runner.poll.Given() == id })
	jobstest.Commit(t, late)
	pgtest.Within(t, "the late event", events)
	if mode := l.runner.poll.Mode(); mode != wake.ModeOff {
		t.Errorf("ring mode %q, want off", mode)
	}
	l.quit()
	jobstest.MustExec(t, pool, `select pg_notify('pgsolo.event', 'last')`)
	if message := jobstest.RingOn(t, listen); message != "last" {
		t.Errorf("a producer rang: %q", message)
	}
	stale := leadWith(t, 1, Options{Pool: pool, Handlers: []Handler{handler}})
	if err := pgtest.Within(t, "the end", stale.ended); !errors.Is(err, jobs.ErrFenced) {
		t.Error("a stale leader was not refused")
	}
}

// statements counts what a pool sends, by statement.
type statements struct {
	all, ends, reads, dues atomic.Int64
}

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	s.all.Add(1)
	switch {
	case strings.Contains(data.SQL, "join pgsolo.event_id_seq"):
		s.ends.Add(1)
	case strings.Contains(data.SQL, "where e.id > $2"):
		s.reads.Add(1)
	case strings.Contains(data.SQL, "state in ('scheduled', 'retry') and next_at <= statement_timestamp()"):
		s.dues.Add(1)
	}
	return ctx
}

func (s *statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// An idle leader reads neither events nor deliveries, however many topics it has and whatever the log ends with: it
// polls once a second whether it should.
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
				jobstest.Emit(t, pool, string(rune('t'+i/2)), `1`)
			}
			undone := jobstest.Begin(t, pool)
			jobstest.Emit(t, undone, "t", `1`)
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
			const polls = 6 // longer than deliveries are not queried
			pgtest.Eventually(t, "polls a second apart, and nothing read", func() bool {
				n := sent.ends.Load() - ends
				if sent.reads.Load() > reads || sent.dues.Load() > dues ||
					time.Since(begun) < time.Duration(n-1)*wake.MaxPoll*9/10 {
					again()
				}
				return n >= polls && sent.ends.Load()-ends >= polls
			})
			all = sent.all.Load() - all
			if most := int64(2*time.Since(begun).Seconds()) + 5; all > most {
				t.Errorf("%d statements in %s, want at most %d", all, time.Since(begun), most)
			}
		})
	}
}

// The producers ring while the leader sleeps; while it has much to do they do not.
func TestDoorbellIsDisarmedUnderLoad(t *testing.T) {
	pool := jobstest.Pool(t)
	handler, _ := recorder("h", "t")
	handler.Handle = func(context.Context, Event) error { return nil }
	l := lead(t, pool, 1, handler)
	const rings = `select last_value > 1 and armed from pgsolo.doorbell_armed, pgsolo.doorbell`
	mode := func() RingMode { return l.runner.Stats().Log.Ring }
	armed := func() bool { return mode() == RingArmed && pgtest.Value[bool](t, pool, rings) }
	pgtest.Eventually(t, "the bell to be armed", armed)
	pgtest.Eventually(t, "the producers to ring so often that the bell is disarmed", func() bool {
		jobstest.MustExec(t, pool, `do $$ begin
			for n in 1..50 loop
				insert into pgsolo.event (topic) values ('t');
				commit;
			end loop;
		end $$`)
		return mode() == RingBusy
	})
	gate := jobstest.Begin(t, pool)
	// it is neither armed nor disarmed meanwhile
	jobstest.MustExec(t, gate, `lock table pgsolo.doorbell in share row exclusive mode`)
	const someRing = `select last_value > 1 or armed from pgsolo.doorbell_armed, pgsolo.doorbell`
	if pgtest.Value[bool](t, gate, someRing) { // it has been idle since
		pgtest.Eventually(t, "a leader that has armed the bell again", func() bool { return mode() == RingArmed })
	}
	jobstest.Commit(t, gate)
	pgtest.Eventually(t, "the bell to be armed again", armed)
	l.quit()
	if mode() != RingNone {
		t.Errorf("ring mode %q after the term", mode())
	}
}
