package eventlog

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
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
	if got.Log != pgtest.Value[string](t, pool, `select identity from pgsolo.log`) {
		t.Errorf("it is of log %q", got.Log)
	}
	got.CreatedAt, got.Log = time.Time{}, ""
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
		return l.runner.handlers[0].counters.Read.Load() >= 4
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
