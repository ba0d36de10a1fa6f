package eventlog

import (
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/idset"
	"github.com/pgsolo/pgsolo/jobs/internal/logread"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// Thousands of rolled-back ids that an open transaction keeps from being settled do not delay new events.
func TestManyHolesDelayNothing(t *testing.T) {
	pool := jobstest.Pool(t)
	handler, events := recorder("h", "t")
	l := lead(t, pool, 1, handler)
	open := jobstest.Begin(t, pool)
	pgtest.Value[string](t, open, `select pg_current_xact_id()::text`)
	if _, err := pool.Exec(t.Context(), `do $$ begin
		for n in 1..3000 loop
			begin
				insert into pgsolo.event (topic) values ('t');
				raise exception 'undone';
			exception when others then null;
			end;
			insert into pgsolo.event (topic) values ('other');
			if n % 100 = 0 then commit; end if;
		end loop;
	end $$`); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		id := jobstest.Emit(t, pool, "t", `1`)
		if got := pgtest.Within(t, "an event above the holes", events); got.ID != id {
			t.Fatalf("got event %d, want %d", got.ID, id)
		}
	}
	jobstest.Commit(t, open)
	pgtest.Eventually(t, "the holes to be settled", func() bool {
		return pgtest.Value[bool](t, pool,
			`select done = int8multirange(int8range(1, (select max(id) + 1 from pgsolo.event))) from pgsolo.cursor`)
	})
	l.quit()
}

// Order has all holes read before each page, once. How long such a read takes, the test measures beside it.
func TestManyHolesDelayNoOrder(t *testing.T) {
	t.Parallel()
	pool := jobstest.Pool(t)
	o := newOrders(t)
	const many = 20_000
	l := lead(t, pool, 1, o.handler(1))
	open := jobstest.Begin(t, pool)
	pgtest.Value[string](t, open, `select pg_current_xact_id()::text`)
	late := emitKey(t, open, "late")
	// First, since a leader does not go on with rows above the sequence.
	if _, err := pool.Exec(t.Context(), `select setval('pgsolo.event_id_seq', $1)`, late+2*many); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(t.Context(),
		`insert into pgsolo.event (id, topic) select $1::bigint + 2 * n, 'other' from generate_series(1, $2::int) n`,
		late, many); err != nil {
		t.Fatal(err)
	}
	emitKey(t, pool, "k")
	o.check(1)
	var (
		all          idset.Holes
		log          = logread.NewReader(pg.DB{Pool: pool, Schema: jobs.DefaultSchema}, "t")
		reads, takes time.Duration
	)
	for n := range int64(many) {
		all.Add(idset.Span{Lo: late + 2*n + 1, Hi: late + 2*n + 2})
	}
	for n := range 20 {
		began := time.Now()
		if _, err := log.In(t.Context(), all, logread.FirstPage); err != nil {
			t.Fatal(err)
		}
		reads += time.Since(began)
		began = time.Now()
		emitKey(t, pool, "k")
		o.check(n + 2)
		takes += time.Since(began)
	}
	if t.Logf("each read took %s, each event %s", reads/20, takes/20); takes > 5*reads {
		t.Error("that is too long for an event")
	}
	jobstest.Commit(t, open)
	o.check(22)
	l.quit()
}
