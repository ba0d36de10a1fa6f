package eventlog

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
)

// bombs are values that would take far more memory than they do in the table, with what is said about them.
var bombs = map[string][2]string{
	"few numbers": {`(select jsonb_agg('1e131071'::jsonb) from generate_series(1, 600))`, "if it is printed"},
	"numbers":     {`(select jsonb_agg('1e131071'::jsonb) from generate_series(1, 8200))`, "if it is printed"},
	"small numbers": {`(select jsonb_build_object('x', jsonb_agg('-1e-16383'::jsonb))
		from generate_series(1, 9000))`, "if it is printed"},
	"zeros": {`(select jsonb_agg(round(1::numeric, 16383)) from generate_series(1, 20000))`, "if it is printed"},
	"text":  {`to_jsonb(repeat('x', 20000000))`, "more than max_payload of its topic, 16777216"},
}

// An event that would take too much memory is a dead letter that says so, and its neighbours are handled: of the log,
// in holes, and of deliveries.
func TestBombsAreDeadLetters(t *testing.T) {
	t.Parallel()
	for name, bomb := range bombs {
		t.Run(name, func(t *testing.T) {
			pool := jobstest.Pool(t)
			execute(t, pool, `alter table pgsolo.event disable trigger refuse_payload`) // it is there already
			late := jobstest.Begin(t, pool)
			insertBomb(t, late, "payload", bomb[0])
			jobstest.EmitMany(t, pool, 100)
			insertBomb(t, pool, "payload", bomb[0])
			insertBomb(t, pool, "headers", `jsonb_build_object('x', `+bomb[0]+`)`)
			jobstest.EmitMany(t, pool, 100)
			handler, events := recorder("h", "t")
			l := lead(t, pool, 1, handler)
			for range 200 {
				pgtest.Within(t, "a neighbour", events)
			}
			jobstest.Commit(t, late)
			dead := func(n int) {
				t.Helper()
				pgtest.Eventually(t, "the dead letters", func() bool {
					return pgtest.Value[int](t, pool, `select count(*) from pgsolo.delivery where state = 'dead'
						and error like '%' || $1 || '%'`, bomb[1]) == n
				})
			}
			dead(3)
			execute(t, pool, `update pgsolo.delivery set state = 'retry', next_at = now(), error = ''`)
			l.runner.handlers[0].RetryNow()
			dead(3)
			if len(events) > 0 || len(l.ended) > 0 {
				t.Errorf("%d events more, and %d ends", len(events), len(l.ended))
			}
		})
	}
}

// What is nested so deep that the server refuses to look at it is not printed either. How deep that is depends on it.
func TestDeepValueIsNotPrinted(t *testing.T) {
	t.Parallel()
	tx := jobstest.Begin(t, jobstest.Pool(t))
	for _, statement := range []string{
		`create temporary table deep as select (repeat('[', 5000) || repeat(']', 5000))::jsonb as value`,
		`set local max_stack_depth = '300kB'`,
	} {
		if _, err := tx.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	got := pgtest.Value[string](t, tx, `select pgsolo.printed(value, 16777216, 'm') from deep`)
	if !strings.Contains(got, "refuses to print it: stack depth") {
		t.Error(got)
	}
}

func insertBomb(t *testing.T, db jobstest.Execer, column, value string) {
	t.Helper()
	pgtest.Value[int64](t, db, `insert into pgsolo.event (topic, `+column+`) values ('t', `+value+`) returning id`)
}

// What the server cannot read is a dead letter, too, although it cannot be copied.
func TestDamagedEventIsADeadLetter(t *testing.T) {
	t.Parallel()
	pool := jobstest.Pool(t)
	jobstest.EmitMany(t, pool, 50)
	late := jobstest.Begin(t, pool)
	const large = `(select jsonb_agg(md5(i::text)) from generate_series(1, 5000) i)`
	insertBomb(t, late, "payload", large)
	insertBomb(t, pool, "payload", large)
	execute(t, pool, `insert into pgsolo.event (topic, payload, deliver_at)
		select topic, payload, 'tomorrow' from pgsolo.event order by id desc limit 1`)
	jobstest.EmitMany(t, pool, 50)
	jobstest.Commit(t, late)
	damage(t, pool, "event")
	handler, events := recorder("h", "t")
	lead(t, pool, 1, handler)
	for range 100 {
		pgtest.Within(t, "a neighbour", events)
	}
	pgtest.Eventually(t, "the dead letters", func() bool {
		return pgtest.Value[int](t, pool, `select count(*) from pgsolo.delivery where state = 'dead'
			and error like '%cannot be read%missing chunk%not copied'`) == 3
	})
}

// A delivery whose row cannot be read is a dead letter, and keeps none of its handler's from being tried again.
func TestDamagedDeliveriesAreDeadLetters(t *testing.T) {
	for _, order := range []Order{OrderNone, OrderKey} {
		t.Run(string(order), func(t *testing.T) {
			t.Parallel()
			pool := jobstest.Pool(t)
			jobstest.MustExec(t, pool, `insert into pgsolo.delivery (handler, event_id, topic, key, payload, headers,
					created_at, attempt, error, state, next_at, failed_at)
				select 'h', n, 't', 'k' || n, case when n % 3 = 0 then to_jsonb(n)
					else (select to_jsonb(string_agg(md5(n || '.' || i), '')) from generate_series(1, 200) i) end,
					'{}', now(), 1, 'x', 'retry', now(), now() from generate_series(1, 6) n`)
			damage(t, pool, "delivery")
			handler, events := recorder("h", "t")
			handler.Order = order
			lead(t, pool, 1, handler)
			for range 2 {
				pgtest.Within(t, "a neighbour", events)
			}
			pgtest.Eventually(t, "the dead letters", func() bool {
				return pgtest.Value[int](t, pool, `select count(*) from pgsolo.delivery where state = 'dead'
					and error like '%cannot be read%'`) == 4
			})
		})
	}
}

// damage loses what is stored outside the rows of a table.
func damage(t *testing.T, pool *pgxpool.Pool, table string) {
	t.Helper()
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	toast := pgtest.Value[string](t, tx,
		`select reltoastrelid::regclass::text from pg_class where oid = ('pgsolo.' || $1)::regclass`, table)
	setKind := func(kind string) string {
		return `update pg_class set relkind = '` + kind + `' where oid = '` + toast + `'::regclass`
	}
	for _, statement := range []string{
		`set local allow_system_table_mods = on`, setKind("r"), `truncate ` + toast, setKind("t"),
	} {
		if _, err := tx.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// What is large and has a few large numbers is no bomb.
func TestLargeNumbersAreNoBombs(t *testing.T) {
	t.Parallel()
	pool := jobstest.Pool(t)
	for _, payload := range []string{
		`(select jsonb_agg(1.7976931348623157e308::float8) from generate_series(1, 20000))`,
		`(select jsonb_agg(-2.2250738585072014e-308::float8) from generate_series(1, 20000))`,
		`jsonb_build_object('x', repeat('x', 300000), 'n', '1e131071'::numeric)`,
		`(select jsonb_agg('1e131071'::numeric) from generate_series(1, 100))`,
	} {
		insertBomb(t, pool, "payload", payload)
	}
	handler, events := recorder("h", "t")
	lead(t, pool, 1, handler)
	for range 4 {
		pgtest.Within(t, "an event", events)
	}
}

// What a large event has taken is free when it is handled, or given up.
func TestMemoryOfLargeEventsIsReturned(t *testing.T) {
	pool := jobstest.Pool(t)
	good, failed := make(chan struct{}, 1), make(chan struct{}, 1)
	l := lead(t, pool, 2,
		Handler{Name: "good", Topic: "t", Handle: func(context.Context, Event) error {
			good <- struct{}{}
			return nil
		}},
		Handler{Name: "bad", Topic: "t", Retry: jobs.Retry{Attempts: 1}, Handle: func(context.Context, Event) error {
			failed <- struct{}{}
			return errors.New("fails")
		}})
	handle := func(payload string) {
		t.Helper()
		insertBomb(t, pool, "payload", payload)
		pgtest.Within(t, "the event", good)
		pgtest.Within(t, "the event", failed)
		for _, h := range l.runner.handlers {
			pgtest.Eventually(t, "the progress of "+h.Name, func() bool {
				return pgtest.Value[bool](t, pool, `select done @> (select max(id) from pgsolo.event) from pgsolo.cursor
					where handler = $1`, h.Name)
			})
		}
	}
	inUse := func() uint64 {
		runtime.GC()
		runtime.GC() // what is in a sync.Pool
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		return memory.HeapAlloc
	}
	handle(`'1'`)
	before := inUse()
	handle(`to_jsonb(repeat('x', 14000000))`)
	pgtest.Eventually(t, "the memory", func() bool { return inUse() < before+4_000_000 })
}

// The door refuses what is too large, by name, and lets pass what is not, or what the topic allows.
func TestMaxPayload(t *testing.T) {
	t.Parallel()
	pool := jobstest.Pool(t)
	emit := func(topic, value string) error {
		_, err := pool.Exec(t.Context(), `select pgsolo.emit($1, `+value+`)`, topic)
		return err
	}
	const large, larger = `to_jsonb(repeat('x', 16000000))`, `to_jsonb(repeat('x', 17000000))`
	if err := emit("t", large); err != nil {
		t.Error(err)
	}
	if err := emit("t", larger); err == nil || !strings.Contains(err.Error(), "more than its max_payload, 16777216") {
		t.Errorf("larger: %v", err)
	}
	if err := copyIn(t.Context(), pool, `"`+strings.Repeat("x", 17_000_000)+`"`); err == nil {
		t.Error("COPY took it")
	}
}

func copyIn(ctx context.Context, pool *pgxpool.Pool, payload string) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	_, err = conn.Conn().PgConn().CopyFrom(ctx, strings.NewReader("t\t"+payload+"\n"),
		`copy pgsolo.event (topic, payload) from stdin`)
	return err
}
