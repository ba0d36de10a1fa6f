package eventlog

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/cursor"
	"github.com/pgsolo/pgsolo/jobs/internal/logread"
)

func TestKeysKeepTheirOrder(t *testing.T) {
	pool := jobstest.Pool(t)
	o := newOrders(t)
	random := rand.New(rand.NewPCG(1, 1))
	o.fail = func(Event) error {
		if rand.IntN(5) == 0 {
			return errNotNow
		}
		return nil
	}
	const waiting, more = 2000, 500
	if _, err := pool.Exec(t.Context(), `insert into pgsolo.event (topic, key)
		select 't', nullif(floor(random() * 12)::int, 0)::text from generate_series(1, $1::int)`, waiting); err != nil {
		t.Fatal(err)
	}
	l := lead(t, pool, 1, o.handler(8))
	for range more {
		emitKey(t, pool, fmt.Sprint(random.IntN(12)))
	}
	o.check(waiting + more)
	l.quit()
	if n := pgtest.Value[int](t, pool, `select count(*) from pgsolo.delivery`); n != 0 {
		t.Errorf("%d deliveries left", n)
	}
	c := l.runner.handlers[0].consumer
	keys := c.queue.Keys(func(string) bool { return true })
	if len(keys) != 0 || c.queue.Size() != 0 || len(c.due.Retrying) != 0 {
		t.Errorf("left behind: keys %v, %d deliveries, %d being retried", keys, c.queue.Size(), len(c.due.Retrying))
	}
}

// While one key fails its later events wait, in the table and not in memory, and those of other keys do not.
func TestFailingKeyHoldsUpNoOther(t *testing.T) {
	pool := jobstest.Pool(t)
	o := newOrders(t)
	failing := true
	o.fail = func(e Event) error {
		if e.Key == "bad" && failing {
			return errNotNow
		}
		return nil
	}
	l := lead(t, pool, 1, o.handler(2))
	const bad = 10_000
	emitKeys(t, pool, "bad", bad)
	emitKeys(t, pool, "good", 100)
	o.check(100)
	pgtest.Eventually(t, "the others to wait", func() bool { return deliveries(t, pool, "waiting") == bad-1 })
	emitKey(t, pool, "good")
	o.check(101)
	began := time.Now()
	o.set(func() { failing = false })
	o.check(101 + bad)
	t.Logf("%d parked events in %s", bad, time.Since(began))
	jobstest.MustExec(t, pool, `create sequence parked`)
	jobstest.MustExec(t, pool,
		`create function park() returns trigger
			language plpgsql as $$ begin perform nextval('parked'); return null; end $$`)
	jobstest.MustExec(t, pool,
		`create trigger park after insert on pgsolo.delivery for each row execute function park()`)
	const parked = `select case when is_called then last_value else 0 end from parked`
	more := 0
	pgtest.Eventually(t, "the key to be free, so that its next event does not wait in the table", func() bool {
		before := pgtest.Value[int](t, pool, parked)
		emitKey(t, pool, "bad")
		more++
		o.check(101 + bad + more)
		return pgtest.Value[int](t, pool, parked) == before
	})
	l.quit()
	if c := l.runner.handlers[0].consumer; c.keys.Len() != 0 {
		t.Errorf("%d keys still blocked after %d more events", c.keys.Len(), more)
	}
}

// A slow key does not hold up the others, even if the queue is full of it.
func TestSlowKeyHoldsUpNoOther(t *testing.T) {
	pgtest.Quickly(t, cursor.DueEvery/2, func() time.Duration {
		pool := jobstest.Pool(t)
		o := newOrders(t)
		gate := make(chan struct{})
		slow := emitKey(t, pool, "slow")
		o.blocked[slow] = gate
		emitKeys(t, pool, "slow", 2*logread.MaxPage)
		emitKeys(t, pool, "quick", 10)
		l := lead(t, pool, 1, o.handler(2))
		o.check(10)
		pgtest.Eventually(t, "the slow key's other events to be offloaded", func() bool {
			return deliveries(t, pool, "waiting") > 0
		})
		began := time.Now()
		close(gate)
		pgtest.Eventually(t, "the first of them", func() bool { return o.count() > 11 })
		took := time.Since(began)
		o.check(2*logread.MaxPage + 11)
		l.quit()
		return took
	})
}

// Whatever the leader is at when it ends, the next one goes on in order.
func TestTakeoverKeepsTheOrder(t *testing.T) {
	t.Parallel()
	pool := jobstest.Pool(t)
	o := newOrders(t)
	random := rand.New(rand.NewPCG(2, 2))
	o.fail = func(Event) error {
		if rand.IntN(4) == 0 {
			return errNotNow
		}
		return nil
	}
	events := 0
	for term := range int64(30) {
		l := lead(t, pool, term+1, o.handler(1+int(term)%4))
		for range 5 {
			emitKeys(t, pool, fmt.Sprint(random.IntN(4)), 10)
			emitKey(t, pool, fmt.Sprint(random.IntN(4)))
			events += 11
		}
		want := o.count() + random.IntN(60)
		pgtest.Eventually(t, "some events", func() bool { return o.count() >= min(want, events) })
		if term%3 == 0 {
			l.quit()
		} else {
			l.die()
		}
	}
	lead(t, pool, 100, o.handler(2))
	o.check(events)
}

// What of a slow key is being handled comes before what was offloaded, also for the next leader.
func TestTakeoverAfterOffload(t *testing.T) {
	pool := jobstest.Pool(t)
	o := newOrders(t)
	slow := emitKey(t, pool, "slow")
	o.blocked[slow] = make(chan struct{})
	emitKeys(t, pool, "slow", 2*logread.MaxPage)
	emitKeys(t, pool, "quick", 10)
	first := lead(t, pool, 1, o.handler(2))
	o.check(10)
	pgtest.Eventually(t, "the slow key's other events to be offloaded", func() bool {
		return deliveries(t, pool, "waiting") > 0
	})
	first.die()
	if pgtest.Value[bool](t, pool, `select done @> $1::bigint from pgsolo.cursor`, slow) {
		t.Fatal("not the state that the test is about")
	}
	o.set(func() { clear(o.blocked) })
	second := lead(t, pool, 2, o.handler(2))
	o.check(2*logread.MaxPage + 11)
	second.quit()
}

// An event that was committed before a later one of its key began to be written comes first, although a read between
// the two has gone past its id.
func TestLateCommitKeepsTheOrder(t *testing.T) {
	for name, concurrency := range map[string]int{"alone": 1, "with others": 4} {
		t.Run(name, func(t *testing.T) {
			pool := jobstest.Pool(t)
			o := newOrders(t)
			l := lead(t, pool, 1, o.handler(concurrency))
			open := jobstest.Begin(t, pool) // holds a hole open all the while
			emitKey(t, open, "open")
			random := rand.New(rand.NewPCG(3, 3))
			for i := range 100 {
				late := jobstest.Begin(t, pool)
				key := fmt.Sprint("k", i%5)
				emitKey(t, late, key)
				before := o.count()
				emitKey(t, pool, "") // above it
				if random.IntN(2) == 0 {
					pgtest.Eventually(t, "the event above", func() bool { return o.count() > before })
				}
				jobstest.Commit(t, late)
				emitKey(t, pool, key)
			}
			o.check(300)
			jobstest.Commit(t, open)
			o.check(301)
			l.quit()
		})
	}
}

// The same for what a leader inherits: all that the gaps hold comes before what lies above.
func TestGapsComeFirst(t *testing.T) {
	pool := jobstest.Pool(t)
	o := newOrders(t)
	first := lead(t, pool, 1, o.handler(1))
	late := jobstest.Begin(t, pool)
	for range 3 * logread.FirstPage {
		emitKey(t, late, "k")
	}
	emitKey(t, pool, "")
	o.check(1)
	first.quit()
	jobstest.Commit(t, late)
	emitKeys(t, pool, "k", logread.FirstPage)
	second := lead(t, pool, 2, o.handler(4))
	o.check(4*logread.FirstPage + 1)
	second.quit()
}
