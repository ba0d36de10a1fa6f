package eventlog

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/cursor"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/queue"
	"github.com/pgsolo/pgsolo/jobs/internal/idset"
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
		return pgtest.Value[bool](t, pool,
			`select coalesce((select done @> int8range(1, $1) from pgsolo.cursor), false)`, logread.FirstPage+1)
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

// A delivery whose outcome is not written yet must not be read again; one that the write did not reach comes with the
// next.
func TestOutcomeIsKeptUntilItIsWritten(t *testing.T) {
	pool := jobstest.Pool(t)
	if _, err := pool.Exec(t.Context(), `insert into pgsolo.cursor (handler, term) values ('h', 1)`); err != nil {
		t.Fatal(err)
	}
	retry := jobs.Retry{Attempts: 3, Backoff: time.Millisecond, MaxBackoff: time.Millisecond}
	c := idleConsumer(t, Handler{Name: "h", Retry: retry}, pool)
	c.due.Retrying[5] = ""
	c.due.By = time.Now().Add(time.Hour)
	// has succeeded, but for waiting for the next
	c.queue.Fail(queue.Delivery{Record: &logread.Record{ID: 5}, Attempt: 2, Retry: true}, nil)
	c.queue.Fail(queue.Delivery{Record: &logread.Record{ID: 6}, Attempt: 1, Retry: false}, errors.New("fails"))
	c.takeResults()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, step := range []struct {
		ctx      context.Context
		retrying int
	}{{cancelled, 1}, {t.Context(), 0}} {
		c.startWrite(step.ctx)
		if len(c.due.Retrying) != 1 || time.Until(c.due.By) < time.Minute {
			t.Error("a delivery is queried before it is written")
		}
		err := c.written(pgtest.Within(t, "the write", c.wrote))
		if (err != nil) != (step.ctx.Err() != nil) || len(c.due.Retrying) != step.retrying ||
			c.writer.HasUnsaved() != (err != nil) {
			t.Errorf("written: %v; being retried: %v; unsaved: %+v", err, c.due.Retrying, c.writer.Unsaved)
		}
	}
	if time.Until(c.due.By) > time.Second {
		t.Error("the retry is not queried when it is due")
	}
}

// However many results there are, the loop is woken once, and not again before it has begun to write what it knows.
func TestLoopIsNotWokenForEachEvent(t *testing.T) {
	c := idleConsumer(t, Handler{Name: "h"}, nil)
	records := []logread.Record{{ID: 1}, {ID: 2}, {ID: 3}}
	c.queue.Push(records)
	first, _ := c.queue.Next()
	second, _ := c.queue.Succeed(first)
	third, _ := c.queue.Succeed(second)
	pgtest.Within(t, "the first result", changed(c.queue, &c.writer))
	if len(c.queue.Changed()) != 0 {
		t.Error("announced twice")
	}
	if c.takeResults(); changed(c.queue, &c.writer) != nil {
		t.Error("listens although it has something to write")
	}
	if diff := cmp.Diff(idset.Set{{Lo: 1, Hi: 3}}, c.writer.Unsaved.Done,
		cmp.AllowUnexported(idset.Span{})); diff != "" || third.Record.ID != 3 {
		t.Errorf("-want +got\n%s", diff)
	}
}

// Results are gathered while more are to come, and only then.
func TestWhenProgressIsWritten(t *testing.T) {
	c := idleConsumer(t, Handler{Name: "h"}, nil)
	c.writer.Began = time.Now()
	c.deliver(&logread.Page{Rows: 3, Records: []logread.Record{{ID: 1}, {ID: 2}}, Foreign: idset.Set{{Lo: 3, Hi: 4}}})
	expect := func(want time.Time) {
		t.Helper()
		if c.takeResults(); c.writer.Unsaved.IsEmpty() || !c.writer.DueAt().Equal(want) {
			t.Errorf("%+v is to be written at %s, want %s", c.writer.Unsaved, c.writer.DueAt(), want)
		}
	}
	expect(c.writer.Began.Add(cursor.IdleSave))
	first, _ := c.queue.Next()
	c.queue.Fail(first, nil)
	expect(c.writer.Began.Add(cursor.Gather))
	if _, ok := c.queue.Next(); !ok {
		t.Fatal("no second one")
	}
	expect(time.Time{}) // nothing waits any more, although one is still being handled
}

// New events come first, but however many there are, holes and retries get their turn.
func TestReadsTakeTurns(t *testing.T) {
	pool, traced := jobstest.PoolOfReads(t)
	c := idleConsumer(t, Handler{Name: "h"}, pool)
	c.frontier = logread.NewFrontier(idset.Set{idset.One(2)}, false)
	for i, readsNew := range []bool{true, false, true, false} {
		c.frontier.Ring(0) // and the hole is due, too
		if i > 1 {
			c.due.By = time.Now().Add(time.Hour)
		}
		before := traced.Count.Load()
		c.step(t.Context(), t.Context())
		o := pgtest.Within(t, "the read", c.read)
		if o.err != nil {
			t.Fatal(o.err)
		}
		if got := traced.Count.Load() > before; got != readsNew {
			t.Errorf("step %d reads new events: %t, want %t", i, got, readsNew)
		}
		c.reading = false
		o.apply()
		if i == 1 && time.Until(c.due.By) < cursor.DueEvery/2 {
			t.Errorf("queries retries again in %s, although there are none", time.Until(c.due.By))
		}
	}
}
