package eventlog

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// groupLeader leads a group with handlers of topic t, which report what they get.
func groupLeader(
	t *testing.T, pool *pgxpool.Pool, name string, term int64, handlers ...string,
) (*leader, map[string]chan Event) {
	t.Helper()
	options := Options{Pool: pool, Group: name, Topics: []Topic{{Name: "*"}}, Logger: newLogged()}
	events := map[string]chan Event{}
	for _, h := range handlers {
		var handler Handler
		handler, events[h] = recorder(h, "t")
		options.Handlers = append(options.Handlers, handler)
	}
	l := leadWith(t, term, options)
	pgtest.Eventually(t, "the leader's lock", func() bool {
		return pgtest.Value[bool](t, pool, `select pgsolo.is_led($1)`, name)
	})
	return l, events
}

// heldBy waits until the handler is held by a group; empty: by none, and its own.
func (l *leader) heldBy(t *testing.T, pool *pgxpool.Pool, handler, other string) {
	t.Helper()
	pgtest.Eventually(t, handler+" to be held by '"+other+"'", func() bool {
		for _, h := range l.runner.Stats().Handlers {
			if h.Name == handler && h.HeldBy != other {
				return false
			}
		}
		of := pgtest.Value[string](t, pool,
			`select coalesce(max("group"), '') from pgsolo.cursor where handler = $1`, handler)
		return other != "" || of == l.runner.options.Group
	})
}

// got waits until the handler has got the events, and says what else it got.
func got(t *testing.T, events chan Event, want ...int64) {
	t.Helper()
	var all []int64
	for range want {
		all = append(all, pgtest.Within(t, "an event", events).ID)
	}
	if slices.Sort(all); !slices.Equal(all, want) || len(events) > 0 {
		t.Errorf("got events %v and %d more, want %v", all, len(events), want)
	}
}

// Of two applications with a handler of one name the later one's is held while the other is led. The rest of it runs.
// Once the other has gone, it takes the position, whatever the terms.
func TestHandlerOfAnotherGroupIsHeld(t *testing.T) {
	t.Parallel()
	for name, gone := range map[string]func(l *leader){
		"stopped": func(l *leader) { l.quit() },
		"killed":  func(l *leader) { l.die() },
	} {
		t.Run(name, func(t *testing.T) {
			pool := jobstest.Pool(t)
			billing, billed := groupLeader(t, pool, "billing", 7, "audit")
			billing.heldBy(t, pool, "audit", "")
			search, searched := groupLeader(t, pool, "search", 3, "audit", "index")
			search.heldBy(t, pool, "audit", "billing")
			first := jobstest.Emit(t, pool, "t", `1`)
			got(t, billed["audit"], first)
			got(t, searched["index"], first)
			if stats := search.runner.Stats(); stats.Log.Appended != first || stats.Handlers[0].Lag != 0 {
				t.Errorf("stats: %+v", stats)
			}
			if err := search.runner.Healthy(); err != nil {
				t.Error(err)
			}
			log := search.runner.options.Logger.(*logged)
			pgtest.Within(t, "a line with the remedy", log.wait("a schema of its own"))
			pgtest.Eventually(t, "progress", func() bool {
				return pgtest.Value[bool](t, pool, `select bool_and(done @> $1::bigint) from pgsolo.cursor`, first)
			})
			gone(billing)
			search.heldBy(t, pool, "audit", "")
			second := jobstest.Emit(t, pool, "t", `1`)
			got(t, searched["audit"], second)
			got(t, searched["index"], second)
			search.quit()
		})
	}
}

// ownerReads counts how often it is asked whose a cursor is.
type ownerReads struct{ n atomic.Int64 }

func (r *ownerReads) TraceQueryStart(
	ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData,
) context.Context {
	if strings.Contains(data.SQL, "cursor_owner") {
		r.n.Add(1)
	}
	return ctx
}

func (r *ownerReads) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// A handler that is held asks again and again, and leaves the row alone that the other leader writes its progress to:
// it neither locks it nor waits for who has it.
func TestHeldHandlerLeavesTheRowAlone(t *testing.T) {
	t.Parallel()
	pool := jobstest.Pool(t)
	billing, _ := groupLeader(t, pool, "billing", 7, "audit")
	billing.heldBy(t, pool, "audit", "")
	config, reads := pool.Config(), &ownerReads{}
	config.ConnConfig.Tracer = reads
	counted, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(counted.Close)
	search, _ := groupLeader(t, counted, "search", 3, "audit")
	search.heldBy(t, pool, "audit", "billing")
	const row = `select ctid || ' ' || xmin || ' ' || xmax from pgsolo.cursor`
	before := pgtest.Value[string](t, pool, row)
	asked := func() {
		until := reads.n.Load() + 2
		pgtest.Eventually(t, "questions whose it is", func() bool { return reads.n.Load() >= until })
	}
	asked()
	if after := pgtest.Value[string](t, pool, row); after != before {
		t.Errorf("the row was %s, and is %s", before, after)
	}
	held := jobstest.Begin(t, pool)
	jobstest.MustExec(t, held, `select from pgsolo.cursor for update`)
	asked()
	jobstest.Commit(t, held)
	search.quit()
}

// Two elections that swap names in one deploy need no order: each has what the other one's new leader has no more.
func TestElectionsSwapNames(t *testing.T) {
	t.Parallel()
	pool := jobstest.Pool(t)
	a, ofA := groupLeader(t, pool, "a", 1, "x")
	b, ofB := groupLeader(t, pool, "b", 2, "y")
	a.heldBy(t, pool, "x", "")
	b.heldBy(t, pool, "y", "")
	first := jobstest.Emit(t, pool, "t", `1`)
	got(t, ofA["x"], first)
	got(t, ofB["y"], first)
	a.quit()
	a, ofA = groupLeader(t, pool, "a", 3, "y")
	a.heldBy(t, pool, "y", "b")
	second := jobstest.Emit(t, pool, "t", `1`)
	got(t, ofB["y"], second)
	b.quit()
	b, ofB = groupLeader(t, pool, "b", 4, "x")
	a.heldBy(t, pool, "y", "")
	b.heldBy(t, pool, "x", "")
	got(t, ofB["x"], second)
	third := jobstest.Emit(t, pool, "t", `1`)
	got(t, ofA["y"], third)
	got(t, ofB["x"], third)
	a.quit()
	b.quit()
	if n := pgtest.Value[int](t, pool, `select count(*) from pgsolo.handler where configured`); n != 2 {
		t.Errorf("%d handlers are declared, want 2", n)
	}
}

// A leader of the version before takes a name at once. That ends no term here: the handler is held, and goes on once
// the other has gone.
func TestHandlerIsTakenByTheVersionBefore(t *testing.T) {
	t.Parallel()
	pool := jobstest.Pool(t)
	l, events := groupLeader(t, pool, "main", 1, "h", "other")
	l.heldBy(t, pool, "h", "")
	first := jobstest.Emit(t, pool, "t", `1`)
	got(t, events["h"], first)
	got(t, events["other"], first)
	taken := jobstest.Begin(t, pool)
	jobstest.MustExec(t, taken, claimBefore, "h", 2, "theirs", "t", false)
	second := jobstest.Emit(t, pool, "t", `1`)
	jobstest.Commit(t, taken)
	got(t, events["other"], second)
	log := l.runner.options.Logger.(*logged)
	pgtest.Within(t, "a line", log.wait(`election "theirs" has taken`))
	l.heldBy(t, pool, "h", "") // nobody says that theirs is led
	third := jobstest.Emit(t, pool, "t", `1`)
	got(t, events["other"], third)
	pgtest.Eventually(t, "the events", func() bool {
		return pgtest.Value[bool](t, pool, `select done @> '[1,4)'::int8range from pgsolo.cursor where handler = 'h'`)
	})
	log.mu.Lock()
	defer log.mu.Unlock()
	if text := log.text.String(); strings.Contains(text, "[ERROR]") || strings.Contains(text, "and is led") {
		t.Errorf("log:\n%s", log.text.String())
	}
}
