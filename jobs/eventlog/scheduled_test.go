package eventlog

import (
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
)

func emitLater(t testing.TB, db jobstest.Execer, key string, wait time.Duration) (id int64) {
	t.Helper()
	return pgtest.Value[int64](t, db, `insert into pgsolo.event (topic, key, deliver_at)
		values ('t', nullif($1, ''), clock_timestamp() + $2 * interval '1 microsecond')
			returning id`, key, wait.Microseconds())
}

// putForward has a scheduled event that has its row come due after a wait.
func putForward(t testing.TB, pool *pgxpool.Pool, id int64, wait time.Duration) {
	t.Helper()
	jobstest.MustExec(t, pool, `with e as (
			update pgsolo.event set deliver_at = clock_timestamp() + $2 * interval '1 microsecond' where id = $1
				returning id, deliver_at
		)
		update pgsolo.delivery d set next_at = e.deliver_at from e where d.event_id = e.id`, id, wait.Microseconds())
	jobstest.MustExec(t, pool, `select pgsolo.ring_for_retry(1)`)
}

// lateness is how long after its deliver_at the event came here, by this machine's clock, which is the server's.
func lateness(t testing.TB, db jobstest.Execer, e Event) time.Duration {
	t.Helper()
	now := time.Now()
	return now.Sub(pgtest.Value[time.Time](t, db, `select deliver_at from pgsolo.event where id = $1`, e.ID))
}

func TestScheduledEvent(t *testing.T) {
	pool := jobstest.Pool(t)
	handler, events := recorder("h", "t")
	l := lead(t, pool, 1, handler)
	for _, wait := range []time.Duration{0, time.Millisecond, 30 * time.Millisecond, 300 * time.Millisecond} {
		pgtest.Quickly(t, 200*time.Millisecond, func() time.Duration {
			later := emitLater(t, pool, "", wait)
			got := pgtest.Within(t, "the scheduled event", events)
			if got.ID != later || got.Attempt != 1 {
				t.Errorf("got event %d, attempt %d; want %d, 1", got.ID, got.Attempt, later)
			}
			late := lateness(t, pool, got)
			if t.Logf("event with a wait of %s came %s late", wait, late); late < 0 {
				t.Error("that is too early")
			}
			return late
		})
	}
	l.quit()
	if n := pgtest.Value[int](t, pool, `select count(*) from pgsolo.delivery`); n != 0 {
		t.Errorf("%d deliveries left", n)
	}
}

func TestDeliverAtInThePastIsNoDelay(t *testing.T) {
	pool := jobstest.Pool(t)
	handler, events := recorder("h", "t")
	id := emitLater(t, pool, "", -time.Hour)
	l := lead(t, pool, 1, handler)
	if got := pgtest.Within(t, "the event", events); got.ID != id {
		t.Errorf("got event %d, want %d", got.ID, id)
	}
	l.quit()
	if pgtest.Value[bool](t, pool, `select exists (select from pgsolo.delivery)`) {
		t.Error("it was moved")
	}
}

// The date survives the leader. Others pass meanwhile, and dates that no clock here can hold do no harm.
func TestScheduledEventOverTakeover(t *testing.T) {
	pool := jobstest.Pool(t)
	handler, events := recorder("h", "t")
	first := lead(t, pool, 1, handler)
	far := pgtest.Value[int64](t, pool,
		`insert into pgsolo.event (topic, deliver_at) values ('t', '294276-01-01') returning id`)
	soon := emitLater(t, pool, "", time.Hour)
	next := jobstest.Emit(t, pool, "t", `"next"`)
	if got := pgtest.Within(t, "the event after it", events); got.ID != next {
		t.Fatalf("got event %d, want %d", got.ID, next)
	}
	pgtest.Eventually(t, "their rows", func() bool { return deliveries(t, pool, "scheduled") == 2 })
	first.die()
	if attempt := pgtest.Value[int](t, pool, `select max(attempt) from pgsolo.delivery`); attempt != 0 {
		t.Errorf("%d attempts before the date", attempt)
	}
	if n := pgtest.Value[int](t, pool,
		`select count(*) from pgsolo.delivery d join pgsolo.event e on e.id = d.event_id
			and e.deliver_at = d.next_at`); n != 2 {
		t.Errorf("%d of their rows have the date", n)
	}
	putForward(t, pool, soon, 300*time.Millisecond)
	second := lead(t, pool, 2, handler)
	got := pgtest.Within(t, "the scheduled event", events)
	if late := lateness(t, pool, got); got.ID != soon || got.Attempt != 1 || late < 0 {
		t.Errorf("got event %d, attempt %d, %s late; want %d, 1", got.ID, got.Attempt, late, soon)
	}
	second.quit()
	if id := pgtest.Value[int64](t, pool, `select event_id from pgsolo.delivery where state = 'scheduled'`); id != far {
		t.Errorf("event %d is left, want %d", id, far)
	}
}

// A scheduled event that fails is retried like any other.
func TestScheduledEventFails(t *testing.T) {
	pool := jobstest.Pool(t)
	o := newOrders(t)
	tries := 0
	o.fail = func(Event) error {
		if tries++; tries < 3 {
			return errNotNow
		}
		return nil
	}
	h := o.handler(1)
	h.Order = OrderNone
	l := lead(t, pool, 1, h)
	emitLater(t, pool, "", 20*time.Millisecond)
	if got := pgtest.Within(t, "the third attempt", o.handled); got.Attempt != 3 {
		t.Errorf("attempt %d, want 3", got.Attempt)
	}
	l.quit()
}

// Before its date an event does not hold up its key. After that, it is the first of those that wait.
func TestScheduledEventAndItsKey(t *testing.T) {
	pool := jobstest.Pool(t)
	o := newOrders(t)
	tried := false
	o.fail = func(e Event) error {
		if e.ID == 2 && !tried {
			tried = true
			return errNotNow
		}
		return nil
	}
	l := lead(t, pool, 1, o.handler(2))
	first := emitLater(t, pool, "k", time.Hour)
	second := emitKey(t, pool, "k")
	if got := pgtest.Within(t, "the second event", o.handled); got.ID != second {
		t.Fatalf("got event %d, want %d", got.ID, second)
	}
	pgtest.Eventually(t, "its row", func() bool { return deliveries(t, pool, "scheduled") == 1 })
	gate := make(chan struct{})
	slow := second + 1
	o.set(func() { o.blocked[slow] = gate })
	emitKeys(t, pool, "k", 3) // the first of which is slow
	putForward(t, pool, first, 0)
	close(gate)
	pgtest.Eventually(t, "all", func() bool { return o.count() == 5 })
	l.quit()
}

// Any number of events may come due behind one that blocks their key, and do not keep the others' dates from being
// seen.
func TestManyComeDueBehindABlockedKey(t *testing.T) {
	pool := jobstest.Pool(t)
	o := newOrders(t)
	failing := true
	o.fail = func(e Event) error {
		if e.Key == "bad" && failing {
			return errNotNow
		}
		return nil
	}
	h := o.handler(2)
	h.Retry = jobs.Retry{Attempts: 1}
	h.OnDead = OnDeadBlockKey
	l := lead(t, pool, 1, h)
	emitKey(t, pool, "bad")
	pgtest.Eventually(t, "the dead letter", func() bool { return deliveries(t, pool, "dead") == 1 })
	const many = 3000
	if _, err := pool.Exec(t.Context(), `insert into pgsolo.event (topic, key, deliver_at)
		select 't', 'bad', clock_timestamp() + interval '200 ms' from generate_series(1, $1::int)`, many); err != nil {
		t.Fatal(err)
	}
	good := emitLater(t, pool, "good", 400*time.Millisecond)
	if got := pgtest.Within(t, "the other key's event", o.handled); got.ID != good {
		t.Fatalf("got event %d, want %d", got.ID, good)
	}
	pgtest.Eventually(t, "the others to wait", func() bool { return deliveries(t, pool, "waiting") == many })
	o.set(func() { failing = false })
	pgtest.Value[int](t, pool, `select pgsolo.replay('h')`)
	o.check(many + 2)
	if !slices.IsSorted(o.done["bad"]) {
		t.Error("not in order")
	}
	l.quit()
}
