package eventlog

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/cursor"
	"github.com/pgsolo/pgsolo/jobs/internal/logread"
)

// A handler that runs long does not make its leader look stuck.
func TestLongHandlerIsHealthy(t *testing.T) {
	pool := jobstest.Pool(t)
	handler, events := recorder("h", "t")
	l := lead(t, pool, 1, handler)
	jobstest.Emit(t, pool, "t", `1`)
	pgtest.Within(t, "the event", events)
	at := l.runner.handlers[0].pulse.Last()
	pgtest.Eventually(t, "the loop to move although there is nothing to do", func() bool {
		return l.runner.handlers[0].pulse.Last().After(at)
	})
	if err := l.runner.Healthy(); err != nil {
		t.Error(err)
	}
	l.quit()
	if err := l.runner.Healthy(); err != nil {
		t.Errorf("after the end: %v", err)
	}
}

// A receiver that hangs makes no leader look stuck, however many events wait for it, and neither does a handler
// that may not begin more.
func TestLoopWaitsForWorkers(t *testing.T) {
	t.Parallel()
	pool := jobstest.Pool(t)
	execute(t, pool, `insert into pgsolo.event (topic, key, payload)
		select 't', 'k', to_jsonb(repeat('x', 20000)) from generate_series(1, 250)`)
	hang := func(ctx context.Context, _ Event) error {
		<-ctx.Done()
		return ctx.Err()
	}
	l := lead(t, pool, 1,
		Handler{Name: "plain", Topic: "t", Handle: hang, Timeout: time.Hour},
		Handler{Name: "rated", Topic: "t", Handle: hang, Timeout: time.Hour,
			Rate: jobs.Rate{Events: 1, Per: 24 * time.Hour}})
	for _, h := range l.runner.handlers {
		pgtest.Eventually(t, h.Name+" to have no capacity", func() bool {
			q := h.shown.Load()
			return q != nil && !q.HasCapacity(h.log.PageLimit())
		})
	}
	settled := time.Now().Add(2 * signOfLife)
	for _, h := range l.runner.handlers {
		pgtest.Eventually(t, fmt.Sprintf("the loop of %s to move", h.Name), func() bool {
			return h.pulse.Last().After(settled)
		})
	}
}

// What a loop waits for at the database bears its sign of life: one that is stuck there is found.
func TestLoopThatIsStuckIsFound(t *testing.T) {
	h := Handler{Name: "h", Topic: "t", Handle: ignore}
	c := idleConsumer(t, h.WithDefaults(), nil)
	c.queue.Push(make([]logread.Record, c.log.PageLimit()+1))
	if wait, ok := c.nextTimer(); !ok || wait > signOfLife {
		t.Errorf("a loop that waits for workers wakes after %s, %t", wait, ok)
	}
	c.reading = true
	if wait, ok := c.nextTimer(); ok {
		t.Errorf("a loop that reads wakes by itself after %s", wait)
	}
	c.reading, c.writer.Writing = false, &cursor.Progress{}
	if wait, ok := c.nextTimer(); ok {
		t.Errorf("a loop that writes wakes by itself after %s", wait)
	}
}
