package eventlog

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
)

func TestStaleLeaderWritesNothing(t *testing.T) {
	pool := jobstest.Pool(t)
	handling, release := make(chan struct{}), make(chan error)
	stale := lead(t, pool, 1, Handler{Name: "h", Topic: "t", Handle: func(context.Context, Event) error {
		close(handling)
		return <-release
	}})
	id := jobstest.Emit(t, pool, "t", `1`)
	pgtest.Within(t, "the stale leader to handle", handling)

	blocked := make(chan struct{})
	next := lead(t, pool, 2, Handler{Name: "h", Topic: "t", Handle: func(_ context.Context, e Event) error {
		if e.ID == id {
			<-blocked // so that only the stale leader could write it down as done
		}
		return nil
	}})
	pgtest.Eventually(t, "the new term", func() bool {
		return pgtest.Value[bool](t, pool, `select exists (select from pgsolo.cursor where term = 2)`)
	})
	release <- errors.New("fails in the old term")
	if err := pgtest.Within(t, "the stale leader to end", stale.ended); !errors.Is(err, jobs.ErrFenced) {
		t.Errorf("the stale leader ended with %v, want ErrFenced", err)
	}
	if pgtest.Value[bool](t, pool,
		`select exists (select from pgsolo.delivery) or (select done @> $1::bigint from pgsolo.cursor)`, id) {
		t.Error("the stale leader has written")
	}
	close(blocked)
	next.quit()
	late := lead(t, pool, 1, Handler{Name: "h", Topic: "t", Handle: func(context.Context, Event) error { return nil }})
	if err := pgtest.Within(t, "refusal", late.ended); !errors.Is(err, jobs.ErrFenced) {
		t.Error("an older term could claim the cursor")
	}
}

func TestTakeoverDeliversWhatWasInFlight(t *testing.T) {
	pool := jobstest.Pool(t)
	var handled atomic.Int64
	stuck := make(chan int64, 1)
	first := lead(t, pool, 1,
		Handler{Name: "h", Topic: "t", Concurrency: 2, Handle: func(ctx context.Context, e Event) error {
			if e.ID == 3 {
				stuck <- e.ID
				<-ctx.Done()
				return ctx.Err()
			}
			handled.Add(1)
			return nil
		}})
	for i := range 10 {
		jobstest.Emit(t, pool, "t", fmt.Sprint(i))
	}
	pgtest.Within(t, "the third event", stuck)
	pgtest.Eventually(t, "the others", func() bool {
		return pgtest.Value[string](t, pool, `select done::text from pgsolo.cursor`) == "{[1,3),[4,11)}"
	})
	first.die()
	handler, events := recorder("h", "t")
	second := lead(t, pool, 2, handler)
	if got := pgtest.Within(t, "the third event again", events); got.ID != 3 || got.Attempt != 1 || got.Term != 2 {
		t.Errorf("got %+v, want the first attempt at event 3", got)
	}
	second.quit()
	if len(events) != 0 || handled.Load() != 9 {
		t.Errorf("%d more events after the takeover, %d before; want 0 and 9", len(events), handled.Load())
	}
}

func TestStopFinishesWhatRunsAndBeginsNothing(t *testing.T) {
	pool := jobstest.Pool(t)
	running, release := make(chan int64, 10), make(chan struct{})
	l := lead(t, pool, 1, Handler{Name: "h", Topic: "t", Handle: func(ctx context.Context, e Event) error {
		running <- e.ID
		select {
		case <-release:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}})
	for range 5 {
		jobstest.Emit(t, pool, "t", `1`)
	}
	pgtest.Within(t, "the first event", running)
	pgtest.Eventually(t, "the others to wait", func() bool { return l.runner.handlers[0].waiting() == 4 })
	l.stop()
	pgtest.Eventually(t, "the queue to close", func() bool { return l.runner.handlers[0].waiting() == 0 })
	close(release)
	if err := pgtest.Within(t, "end", l.ended); err != nil {
		t.Fatal(err)
	}
	if len(running) != 0 {
		t.Error("an event was begun after the stop")
	}
	if done := pgtest.Value[string](t, pool, `select done::text from pgsolo.cursor`); done != "{[1,2)}" {
		t.Errorf("done = %s, want what ran and no more", done)
	}
}

func TestWorkerSessionsEnd(t *testing.T) {
	pool := jobstest.Pool(t)
	handler, events := recorder("h", "t")
	lead(t, pool, 1, handler)
	other := jobstest.Begin(t, pool)
	for range 5 {
		if _, err := other.Exec(t.Context(), `select pg_terminate_backend(pid) from pg_stat_activity
			where datname = current_database() and pid <> pg_backend_pid()`); err != nil {
			t.Fatal(err)
		}
		var id int64
		pgtest.Eventually(t, "an insert", func() bool { // the pool may hand out a session that was just ended
			return pool.QueryRow(t.Context(),
				`insert into pgsolo.event (topic) values ('t') returning id`).Scan(&id) == nil
		})
		for pgtest.Within(t, "the event", events).ID != id {
		}
	}
}
