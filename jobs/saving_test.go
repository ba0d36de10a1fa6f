package jobs

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
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
	eventually(t, "progress beside the read", func() bool {
		return value[bool](t, pool, `select coalesce((select done @> int8range(1, $1) from pgsolo.cursor), false)`, firstPage+1)
	})

	lock := begin(t, pool)
	if _, err := lock.Exec(t.Context(), `select from pgsolo.cursor for update`); err != nil {
		t.Fatal(err)
	}
	open.Load().(func())()
	for range 3 * firstPage {
		within(t, "an event beside the write", handled)
	}
	emit(t, pool, "t", `1`) // is read although not even the events before it are written
	within(t, "an event beside the write", handled)
	commit(t, lock)
	l.quit()
	if done := value[string](t, pool, `select done::text from pgsolo.cursor`); done != "{[1,194)}" {
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
	c := newConsumer(Handler{Name: "h", Retry: Retry{Attempts: 3}}, newEventLog(newLogReader(pool, DefaultSchema, "t"), new(atomic.Int64)), hclog.NewNullLogger())
	c.begin(Lead{Term: 1})
	c.retrying[5] = struct{}{}
	c.queue.fail(delivery{&record{id: 5}, 2, true}, nil) // has succeeded, but for waiting for the next
	c.settle()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, step := range []struct {
		ctx      context.Context
		retrying int
	}{{cancelled, 1}, {t.Context(), 0}} {
		c.startWrite(step.ctx)
		if len(c.retrying) != 1 {
			t.Error("forgotten before it is written")
		}
		err := c.written(within(t, "the write", c.wrote))
		if (err != nil) != (step.ctx.Err() != nil) || len(c.retrying) != step.retrying || c.unsaved.empty() == (err != nil) {
			t.Errorf("written: %v; in hand: %v; unsaved: %+v", err, c.retrying, c.unsaved)
		}
	}
}

// However many results there are, the loop is told once, and not again before it has begun to write what it knows.
func TestLoopIsNotWokenForEachEvent(t *testing.T) {
	c := newConsumer(Handler{Name: "h"}, newEventLog(logReader{}, new(atomic.Int64)), hclog.NewNullLogger())
	c.begin(Lead{})
	records := []record{{id: 1}, {id: 2}, {id: 3}}
	c.queue.push(records)
	d, _ := c.queue.next()
	d, _ = c.queue.succeed(d)
	d, _ = c.queue.succeed(d)
	within(t, "the first result", c.changed())
	if len(c.queue.changed) != 0 {
		t.Error("told twice")
	}
	c.settle()
	if c.changed() != nil || !c.busy && len(c.queue.waiting) > c.queue.head {
		t.Error("listens although it has something to write")
	}
	if diff := cmp.Diff(ranges{{1, 3}}, c.unsaved.done, cmp.AllowUnexported(span{})); diff != "" || d.record.id != 3 {
		t.Errorf("-want +got\n%s", diff)
	}
}
