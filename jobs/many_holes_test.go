package jobs

import (
	"testing"
	"time"
)

// Thousands of rolled-back ids that an open transaction keeps from being settled do not delay new events.
func TestManyHolesDelayNothing(t *testing.T) {
	pool := setup(t)
	handler, events := recorder("h", "t")
	l := lead(t, pool, 1, handler)
	open := begin(t, pool)
	value[string](t, open, `select pg_current_xact_id()::text`)
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
		id := emit(t, pool, "t", `1`)
		if got := within(t, "an event above the holes", events); got.ID != id {
			t.Fatalf("got event %d, want %d", got.ID, id)
		}
	}
	commit(t, open)
	eventually(t, "the holes to be settled", func() bool {
		return value[bool](t, pool, `select done = int8multirange(int8range(1, (select max(id) + 1 from pgsolo.event))) from pgsolo.cursor`)
	})
	l.quit()
}

// Order has all holes looked at before each page, which does not take long either.
func TestManyHolesDelayNoOrder(t *testing.T) {
	pool := setup(t)
	o := newOrders(t)
	const holes = 20_000
	l := lead(t, pool, 1, o.handler(1))
	open := begin(t, pool)
	value[string](t, open, `select pg_current_xact_id()::text`)
	late := emitKey(t, open, "late")
	if _, err := pool.Exec(t.Context(), `insert into pgsolo.event (id, topic) select $1::bigint + 2 * n, 'other' from generate_series(1, $2::int) n`,
		late, holes); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(t.Context(), `select setval('pgsolo.event_id_seq', $1)`, late+2*holes); err != nil {
		t.Fatal(err)
	}
	emitKey(t, pool, "k")
	o.check(1)
	began := time.Now()
	for n := range 20 {
		emitKey(t, pool, "k")
		o.check(n + 2)
	}
	if each := time.Since(began) / 20; each > time.Second/2 {
		t.Errorf("each event took %s", each)
	} else {
		t.Logf("each event took %s", each)
	}
	commit(t, open)
	o.check(22)
	l.quit()
}
