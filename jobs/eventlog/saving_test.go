package eventlog

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/queue"
	"github.com/pgsolo/pgsolo/jobs/internal/idset"
	"github.com/pgsolo/pgsolo/jobs/internal/jobstest"
	"github.com/pgsolo/pgsolo/jobs/internal/logread"
)

// While a read hangs, what was handled is written, and the other way round.
func TestReadsAndWritesDoNotWaitForEachOther(t *testing.T) {
	pool, traced := jobstest.PoolOfReads(t)
	jobstest.EmitMany(t, pool, 3*logread.FirstPage)
	var open atomic.Value
	handled := make(chan int64, 3*logread.FirstPage)
	l := lead(t, pool, 1, Handler{Name: "h", Topic: "t", Handle: func(_ context.Context, e Event) error {
		if e.ID == 1 {
			open.Store(traced.Shut())
		}
		handled <- e.ID
		return nil
	}})
	pgtest.Eventually(t, "progress beside the read", func() bool {
		return pgtest.Value[bool](t, pool, `select coalesce((select done @> int8range(1, $1) from pgsolo.cursor), false)`, logread.FirstPage+1)
	})

	lock := jobstest.Begin(t, pool)
	if _, err := lock.Exec(t.Context(), `select from pgsolo.cursor for update`); err != nil {
		t.Fatal(err)
	}
	open.Load().(func())()
	for range 3 * logread.FirstPage {
		pgtest.Within(t, "an event beside the write", handled)
	}
	jobstest.Emit(t, pool, "t", `1`) // is read although not even the events before it are written
	pgtest.Within(t, "an event beside the write", handled)
	jobstest.Commit(t, lock)
	l.quit()
	if done := pgtest.Value[string](t, pool, `select done::text from pgsolo.cursor`); done != "{[1,194)}" {
		t.Errorf("done = %s", done)
	}
}

// A delivery whose outcome is not written yet must not be read again; one that the write did not reach comes with the next.
func TestOutcomeIsKeptUntilItIsWritten(t *testing.T) {
	pool := jobstest.Pool(t)
	if _, err := pool.Exec(t.Context(), `insert into pgsolo.cursor (handler, term) values ('h', 1)`); err != nil {
		t.Fatal(err)
	}
	retry := jobs.Retry{Attempts: 3, Backoff: time.Millisecond, MaxBackoff: time.Millisecond}
	c := newConsumer(Handler{Name: "h", Retry: retry}, logread.NewLog(logread.NewReader(pool, jobs.DefaultSchema, "t"), new(atomic.Int64)), hclog.NewNullLogger())
	c.begin(jobs.Lead{Number: 1})
	c.retrying[5] = ""
	c.retryDue = time.Now().Add(time.Hour)
	c.queue.Fail(queue.Delivery{Record: &logread.Record{ID: 5}, Attempt: 2, Retry: true}, nil) // has succeeded, but for waiting for the next
	c.queue.Fail(queue.Delivery{Record: &logread.Record{ID: 6}, Attempt: 1, Retry: false}, errors.New("fails"))
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
	c := newConsumer(Handler{Name: "h"}, logread.NewLog(logread.Reader{}, new(atomic.Int64)), hclog.NewNullLogger())
	c.begin(jobs.Lead{})
	records := []logread.Record{{ID: 1}, {ID: 2}, {ID: 3}}
	c.queue.Push(records)
	first, _ := c.queue.Next()
	second, _ := c.queue.Succeed(first)
	third, _ := c.queue.Succeed(second)
	pgtest.Within(t, "the first result", c.changed())
	if len(c.queue.Changed) != 0 {
		t.Error("told twice")
	}
	if c.settle(); c.changed() != nil {
		t.Error("listens although it has something to write")
	}
	if diff := cmp.Diff(idset.Set{{Lo: 1, Hi: 3}}, c.unsaved.done, cmp.AllowUnexported(idset.Span{})); diff != "" || third.Record.ID != 3 {
		t.Errorf("-want +got\n%s", diff)
	}
}

// Results are gathered while more are to come, and only then.
func TestWhenProgressIsWritten(t *testing.T) {
	c := newConsumer(Handler{Name: "h"}, logread.NewLog(logread.Reader{}, new(atomic.Int64)), hclog.NewNullLogger())
	c.begin(jobs.Lead{})
	c.writeTime = time.Now()
	c.deliver(&logread.Page{Rows: 3, Records: []logread.Record{{ID: 1}, {ID: 2}}, Foreign: idset.Set{{Lo: 3, Hi: 4}}})
	expect := func(want time.Time) {
		t.Helper()
		if c.settle(); c.unsaved.empty() || !c.writeDue().Equal(want) {
			t.Errorf("%+v is to be written at %s, want %s", c.unsaved, c.writeDue(), want)
		}
	}
	expect(c.writeTime.Add(idleSave))
	first, _ := c.queue.Next()
	c.queue.Fail(first, nil)
	expect(c.writeTime.Add(gather))
	if _, ok := c.queue.Next(); !ok {
		t.Fatal("no second one")
	}
	expect(time.Time{}) // nothing waits any more, although one is still being handled
}

// New events come first, but however many there are, holes and retries get their turn.
func TestReadsTakeTurns(t *testing.T) {
	c := newConsumer(Handler{Name: "h"}, logread.NewLog(logread.NewReader(jobstest.Pool(t), jobs.DefaultSchema, "t"), new(atomic.Int64)), hclog.NewNullLogger())
	c.begin(jobs.Lead{Number: 1})
	c.holes.Add(idset.Span{Lo: 1, Hi: 2})
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
