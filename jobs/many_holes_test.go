package jobs

import "testing"

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
