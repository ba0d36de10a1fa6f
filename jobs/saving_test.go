package jobs

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// While a read hangs, what was handled is written, and the other way round.
func TestReadsAndWritesDoNotWaitForEachOther(t *testing.T) {
	pool, traced := setupReads(t)
	emitMany(t, pool, 3*firstPage)
	var open atomic.Value
	handled := make(chan int64, 3*firstPage)
	l := lead(t, pool, 1, Handler{Name: "h", Topic: "t", Handle: func(_ context.Context, e Event) error {
		if e.ID == 1 {
			open.Store(traced.shut())
		}
		handled <- e.ID
		return nil
	}})
	pgtest.Eventually(t, "progress beside the read", func() bool {
		return pgtest.Value[bool](t, pool, `select coalesce((select done @> int8range(1, $1) from pgsolo.cursor), false)`, firstPage+1)
	})

	lock := begin(t, pool)
	if _, err := lock.Exec(t.Context(), `select from pgsolo.cursor for update`); err != nil {
		t.Fatal(err)
	}
	open.Load().(func())()
	for range 3 * firstPage {
		pgtest.Within(t, "an event beside the write", handled)
	}
	emit(t, pool, "t", `1`) // is read although not even the events before it are written
	pgtest.Within(t, "an event beside the write", handled)
	commit(t, lock)
	l.quit()
	if done := pgtest.Value[string](t, pool, `select done::text from pgsolo.cursor`); done != "{[1,194)}" {
		t.Errorf("done = %s", done)
	}
}

// Only a number that was given out after the read which showed the hole may be its horizon.
func TestHorizonOfTheWriteUnderWay(t *testing.T) {
	var h holes
	h.add(span{1, 2})
	h.await()
	h.add(span{3, 4}) // shown by a read during the write
	if !h.unlimited() {
		t.Error("a hole that waits for the write counts as limited")
	}
	h.limitAwaiting(7)
	want := holes{{span{1, 2}, 7}, {span{3, 4}, 0}}
	if diff := cmp.Diff(want, h, cmp.AllowUnexported(hole{}, span{})); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	h.await()
	if gone := h.settle(nil, false, 6); len(gone) != 0 {
		t.Errorf("%v gone before anything could tell", gone)
	}
}

// A delivery whose outcome is not written yet must not be read again; one that the write did not reach comes with the next.
func TestOutcomeIsKeptUntilItIsWritten(t *testing.T) {
	pool := setup(t)
	if _, err := pool.Exec(t.Context(), `insert into pgsolo.cursor (handler, term) values ('h', 1)`); err != nil {
		t.Fatal(err)
	}
	retry := Retry{Attempts: 3, Backoff: time.Millisecond, MaxBackoff: time.Millisecond}
	c := newConsumer(Handler{Name: "h", Retry: retry}, newEventLog(newLogReader(pool, DefaultSchema, "t"), new(atomic.Int64)), hclog.NewNullLogger())
	c.begin(Lead{Term: 1})
	c.retrying[5] = ""
	c.retryDue = time.Now().Add(time.Hour)
	c.queue.fail(delivery{record: &record{id: 5}, attempt: 2, retry: true}, nil) // has succeeded, but for waiting for the next
	c.queue.fail(delivery{record: &record{id: 6}, attempt: 1, retry: false}, errors.New("fails"))
	c.settle()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, step := range []struct {
		ctx      context.Context
		retrying int
	}{{cancelled, 1}, {t.Context(), 0}} {
		c.startWrite(step.ctx)
		if len(c.retrying) != 1 || time.Until(c.retryDue) < time.Minute {
			t.Error("a delivery is looked for before it is written")
		}
		err := c.written(pgtest.Within(t, "the write", c.wrote))
		if (err != nil) != (step.ctx.Err() != nil) || len(c.retrying) != step.retrying || c.unsaved.empty() == (err != nil) {
			t.Errorf("written: %v; in hand: %v; unsaved: %+v", err, c.retrying, c.unsaved)
		}
	}
	if time.Until(c.retryDue) > time.Second {
		t.Error("the retry is not looked for when it is due")
	}
}

// However many results there are, the loop is told once, and not again before it has begun to write what it knows.
func TestLoopIsNotWokenForEachEvent(t *testing.T) {
	c := newConsumer(Handler{Name: "h"}, newEventLog(logReader{}, new(atomic.Int64)), hclog.NewNullLogger())
	c.begin(Lead{})
	records := []record{{id: 1}, {id: 2}, {id: 3}}
	c.queue.push(records)
	first, _ := c.queue.next()
	second, _ := c.queue.succeed(first)
	third, _ := c.queue.succeed(second)
	pgtest.Within(t, "the first result", c.changed())
	if len(c.queue.changed) != 0 {
		t.Error("told twice")
	}
	if c.settle(); c.changed() != nil {
		t.Error("listens although it has something to write")
	}
	if diff := cmp.Diff(ranges{{1, 3}}, c.unsaved.done, cmp.AllowUnexported(span{})); diff != "" || third.record.id != 3 {
		t.Errorf("-want +got\n%s", diff)
	}
}

// Results are gathered while more are to come, and only then.
func TestWhenProgressIsWritten(t *testing.T) {
	c := newConsumer(Handler{Name: "h"}, newEventLog(logReader{}, new(atomic.Int64)), hclog.NewNullLogger())
	c.begin(Lead{})
	c.writeTime = time.Now()
	c.deliver(&page{rows: 3, records: []record{{id: 1}, {id: 2}}, foreign: ranges{{3, 4}}})
	expect := func(want time.Time) {
		t.Helper()
		if c.settle(); c.unsaved.empty() || !c.writeDue().Equal(want) {
			t.Errorf("%+v is to be written at %s, want %s", c.unsaved, c.writeDue(), want)
		}
	}
	expect(c.writeTime.Add(idleSave))
	first, _ := c.queue.next()
	c.queue.fail(first, nil)
	expect(c.writeTime.Add(gather))
	if _, ok := c.queue.next(); !ok {
		t.Fatal("no second one")
	}
	expect(time.Time{}) // nothing waits any more, although one is still being handled
}

// The loop is told when the workers have taken so much that it should read on.
func TestLowQueue(t *testing.T) {
	q := newQueue(OrderNone)
	q.push([]record{{id: 1}, {id: 2}, {id: 3}})
	if q.hasRoom(1) {
		t.Error("there is room although three wait")
	}
	for _, low := range []int{0, 1} {
		if q.next(); len(q.low) != low {
			t.Errorf("told %d times, want %d", len(q.low), low)
		}
	}
	if !q.hasRoom(1) {
		t.Error("there is no room although one waits")
	}
}

// New events come first, but however many there are, holes and retries get their turn.
func TestReadsTakeTurns(t *testing.T) {
	c := newConsumer(Handler{Name: "h"}, newEventLog(newLogReader(setup(t), DefaultSchema, "t"), new(atomic.Int64)), hclog.NewNullLogger())
	c.begin(Lead{Term: 1})
	c.holes.add(span{1, 2})
	c.seen = 2
	for i, lastNew := range []bool{true, false, true, false} {
		c.more = true
		if i > 1 {
			c.retryDue = time.Now().Add(time.Hour)
		}
		c.step(t.Context(), t.Context())
		if c.lastNew != lastNew {
			t.Errorf("step %d reads new events: %t, want %t", i, c.lastNew, lastNew)
		}
		o := pgtest.Within(t, "the read", c.read)
		if o.err != nil {
			t.Fatal(o.err)
		}
		c.reading = false
		o.apply()
		c.holesDue = time.Time{}
		if i == 1 && time.Until(c.retryDue) < retryLook/2 {
			t.Errorf("looks for retries again in %s, although there are none", time.Until(c.retryDue))
		}
	}
}
