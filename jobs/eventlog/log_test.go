package eventlog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/jobstest"
)

func TestEventReachesItsHandlers(t *testing.T) {
	pool := jobstest.Pool(t)
	first, firstEvents := recorder("first", "orders")
	second, secondEvents := recorder("second", "orders")
	other, otherEvents := recorder("other", "else")
	jobstest.Emit(t, pool, "orders", `{"n": 1}`) // before there is a leader
	l := lead(t, pool, 7, first, second, other)
	pgtest.Within(t, "the event from before", firstEvents)
	pgtest.Within(t, "the event from before", secondEvents)

	var id int64
	if err := pool.QueryRow(t.Context(), `insert into pgsolo.event (topic, key, payload, headers)
		values ('orders', 'k', '{"n":2}', '{"tenant": "a", "n": 3}') returning id`).Scan(&id); err != nil {
		t.Fatal(err)
	}
	got := pgtest.Within(t, "the event", firstEvents)
	if got.CreatedAt.IsZero() {
		t.Error("no CreatedAt")
	}
	got.CreatedAt = time.Time{}
	want := Event{
		Handler: "first", ID: id, Topic: "orders", Key: "k", Headers: map[string]string{"tenant": "a", "n": "3"},
		Payload: []byte(`{"n": 2}`), Attempt: 1, Term: 7,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	pgtest.Within(t, "the event", secondEvents)
	l.quit()
	for _, handler := range []string{"first", "second", "other"} {
		done := pgtest.Value[string](t, pool, `select done::text from pgsolo.cursor where handler = $1`, handler)
		if handler != "other" && done != fmt.Sprintf("{[1,%d)}", id+1) {
			t.Errorf("cursor of %s: done = %s", handler, done)
		}
	}
	if len(otherEvents) != 0 {
		t.Error("a handler got an event of another topic")
	}
}

func TestLateCommitAndRollback(t *testing.T) {
	pool := jobstest.Pool(t)
	handler, events := recorder("h", "t")
	l := lead(t, pool, 1, handler)

	late := jobstest.Begin(t, pool)
	lateID := jobstest.Emit(t, late, "t", `"late"`)
	undone := jobstest.Begin(t, pool)
	undoneID := jobstest.Emit(t, undone, "t", `"undone"`)
	nextID := jobstest.Emit(t, pool, "t", `"next"`)
	if got := pgtest.Within(t, "the event above the holes", events); got.ID != nextID {
		t.Fatalf("got event %d, want %d", got.ID, nextID)
	}
	if err := undone.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := late.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := pgtest.Within(t, "the late event", events); got.ID != lateID {
		t.Fatalf("got event %d, want %d", got.ID, lateID)
	}
	pgtest.Eventually(t, "the rolled-back id to be settled", func() bool {
		return pgtest.Value[bool](t, pool,
			`select done @> $1::bigint and done = int8multirange(int8range(1, $2)) from pgsolo.cursor`,
			undoneID, nextID+1)
	})
	l.quit()
}

// An id that its transaction has taken, but not used yet, must keep its place in the log open, although the transaction
// has written nothing.
func TestIDIsTakenByATransactionThatHasItsNumber(t *testing.T) {
	pool := jobstest.Pool(t)
	exec := func(sql string) {
		t.Helper()
		if _, err := pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	exec(`create function pause() returns trigger language plpgsql as $$
		begin
			if new.topic = 'slow' then perform pg_advisory_xact_lock(42); end if;
			return new;
		end $$;
		create trigger pause before insert on pgsolo.event for each row execute function pause();`)
	gate := jobstest.Begin(t, pool)
	if _, err := gate.Exec(t.Context(), `select pg_advisory_xact_lock(42)`); err != nil {
		t.Fatal(err)
	}
	slow, slowEvents := recorder("slow", "slow")
	quick, quickEvents := recorder("quick", "quick")
	l := lead(t, pool, 1, slow, quick)
	// the sequence's first value gives its transaction a number, for the sake of the WAL
	jobstest.Emit(t, pool, "quick", `1`)
	pgtest.Within(t, "a quick event", quickEvents)

	inserted := make(chan error, 1)
	go func() {
		_, err := pool.Exec(context.Background(), `insert into pgsolo.event (topic) values ('slow')`)
		inserted <- err
	}()
	pgtest.Eventually(t, "the slow insert to wait", func() bool {
		return pgtest.Value[bool](t, pool,
			`select exists (select from pg_locks where locktype = 'advisory' and objid = 42 and not granted
			and database = (select oid from pg_database where datname = current_database()))`)
	})
	for range 3 {
		jobstest.Emit(t, pool, "quick", `1`)
		pgtest.Within(t, "a quick event", quickEvents)
	}
	pgtest.Eventually(t, "the slow handler's consumer to read past the hole", func() bool {
		return l.runner.handlers[0].counters.read.Load() >= 4
	})
	if err := gate.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := pgtest.Within(t, "the slow insert", inserted); err != nil {
		t.Fatal(err)
	}
	pgtest.Within(t, "the slow event", slowEvents)
}

func TestRetryThenSuccess(t *testing.T) {
	pool := jobstest.Pool(t)
	var attempts []Event
	done := make(chan struct{})
	l := lead(t, pool, 1, Handler{
		Name: "h", Topic: "t",
		Retry: jobs.Retry{Attempts: 5, Backoff: time.Millisecond, MaxBackoff: 5 * time.Millisecond},
		Handle: func(_ context.Context, e Event) error {
			attempts = append(attempts, e)
			if e.Attempt < 3 {
				return errors.New("not yet")
			}
			close(done)
			return nil
		},
	})
	id := jobstest.Emit(t, pool, "t", `{"a": 1}`)
	pgtest.Within(t, "the third attempt", done)
	l.quit()
	for i, e := range attempts {
		if e.ID != id || e.Attempt != i+1 || e.IdempotencyKey() != attempts[0].IdempotencyKey() ||
			string(e.Payload) != `{"a": 1}` {
			t.Errorf("attempt %d: %+v", i+1, e)
		}
	}
	if n := pgtest.Value[int](t, pool, `select count(*) from pgsolo.delivery`); n != 0 {
		t.Errorf("%d deliveries left, want 0", n)
	}
}

func TestPanicIsAFailedAttemptAndTheLastOneIsDead(t *testing.T) {
	pool := jobstest.Pool(t)
	l := lead(t, pool, 1, Handler{
		Name: "h", Topic: "t", Retry: jobs.Retry{Attempts: 2, Backoff: time.Millisecond},
		Handle: func(context.Context, Event) error { panic("boom \x00\xff") },
	})
	jobstest.Emit(t, pool, "t", `1`)
	pgtest.Eventually(t, "the dead letter", func() bool {
		return pgtest.Value[bool](t, pool,
			`select exists (select from pgsolo.delivery where state = 'dead' and attempt = 2 and next_at is null
				and error like 'panic: boom%')`)
	})
	ok, events := recorder("h", "t")
	l.quit()
	lead(t, pool, 2, ok)
	id := jobstest.Emit(t, pool, "t", `2`)
	if got := pgtest.Within(t, "the next event", events); got.ID != id {
		t.Errorf("got event %d, want %d: a dead letter is not delivered again", got.ID, id)
	}
}

func TestTimeout(t *testing.T) {
	pool := jobstest.Pool(t)
	lead(t, pool, 1, Handler{
		Name: "h", Topic: "t", Timeout: 10 * time.Millisecond, Retry: jobs.Retry{Attempts: 1},
		Handle: func(ctx context.Context, _ Event) error { <-ctx.Done(); return ctx.Err() },
	})
	jobstest.Emit(t, pool, "t", `1`)
	pgtest.Eventually(t, "the dead letter", func() bool {
		return pgtest.Value[bool](t, pool,
			`select exists (select from pgsolo.delivery where state = 'dead'
				and error like 'not done within its timeout of 10ms%')`)
	})
}

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

func TestChannel(t *testing.T) {
	pool := jobstest.Pool(t)
	got := make(chan Event, 1)
	l := lead(t, pool, 3,
		Handler{Name: "h", Channel: "Cache Invalidate", Handle: func(_ context.Context, e Event) error {
			select {
			case got <- e:
			default: // one is enough
			}
			return errors.New("no retry of a plain message")
		}})
	pgtest.Eventually(t, "LISTEN", func() bool { // a NOTIFY before that is lost
		if _, err := pool.Exec(t.Context(), `select pg_notify('Cache Invalidate', 'not json')`); err != nil {
			t.Fatal(err)
		}
		return len(got) > 0
	})
	e := pgtest.Within(t, "message", got)
	if e.Channel != "Cache Invalidate" || string(e.Payload) != "not json" || e.Term != 3 || e.IdempotencyKey() != "" {
		t.Errorf("got %+v", e)
	}
	l.quit()
}

func TestNewNamesTheWrongField(t *testing.T) {
	pool := jobstest.Pool(t)
	handle := func(context.Context, Event) error { return nil }
	for want, handlers := range map[string][]Handler{
		`handler "": Name`:                           {{Topic: "t", Handle: handle}},
		`handler "h": Handle`:                        {{Name: "h", Topic: "t"}},
		`handler "h": want one of Topic and Channel`: {{Name: "h", Handle: handle}},
		`handler "h": Timeout -1s`:                   {{Name: "h", Topic: "t", Handle: handle, Timeout: -time.Second}},
		`handler "h": Retry.Attempts`: {{Name: "h", Topic: "t", Handle: handle,
			Retry: jobs.Retry{Attempts: -1}}},
		`two handlers are named "h"`: {{Name: "h", Topic: "t", Handle: handle},
			{Name: "h", Topic: "t", Handle: handle}},
		`handler "h": Channel needs`: {{Name: "h", Channel: "c", Handle: handle}},
	} {
		if _, err := New(Options{Pool: pool, Handlers: handlers}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
