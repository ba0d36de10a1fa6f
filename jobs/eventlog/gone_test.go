package eventlog

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
)

// The rows of the log are deleted during the first attempt at an event, which fails: it is retried all the same, and
// what waits behind it in its key comes after it.
func TestLogIsDeletedUnderAnAttempt(t *testing.T) {
	retry := jobs.Retry{Attempts: 3, Backoff: time.Millisecond, MaxBackoff: time.Millisecond}
	for name, h := range map[string]Handler{
		"none":  {},
		"order": {Order: OrderKey, Concurrency: 2},
		"batch": {Batch: 4},
	} {
		t.Run(name, func(t *testing.T) {
			pool := jobstest.Pool(t)
			handled := make(chan string, 100)
			handle := func(ctx context.Context, e Event) error {
				if string(e.Payload) == "1" && e.Attempt < 3 {
					jobstest.MustExec(t, pool, `delete from pgsolo.event`)
					return errors.New("fails")
				}
				handled <- fmt.Sprintf("%d %s %d", e.ID, e.Payload, e.Attempt)
				return nil
			}
			h.Name, h.Topic, h.Retry = "h", "t", retry
			if h.Batch == 0 {
				h.Handle = handle
			} else {
				h.HandleTx = func(ctx context.Context, _ pgx.Tx, e Event) error { return handle(ctx, e) }
			}
			l := lead(t, pool, 1, h)
			jobstest.MustExec(t, pool, `select pgsolo.emit('t', to_jsonb(n), key => 'k') from generate_series(1, 3) n`)
			got := map[string]bool{}
			for range 3 {
				got[pgtest.Within(t, "an event", handled)] = true
			}
			for _, want := range []string{"1 1 3", "2 2 1", "3 3 1"} {
				if !got[want] {
					t.Errorf("not handled: %s; but %v", want, got)
				}
			}
			l.quit()
		})
	}
}

// The last attempt fails, and the row is gone: there is a dead letter, and a replay of it succeeds.
func TestDeadLetterWithoutARowInTheLog(t *testing.T) {
	pool := jobstest.Pool(t)
	fails, handled := true, make(chan Event, 1)
	l := lead(t, pool, 1, Handler{Name: "h", Topic: "t", Retry: jobs.Retry{Attempts: 1},
		Handle: func(_ context.Context, e Event) error {
			if fails {
				fails = false
				jobstest.MustExec(t, pool, `truncate pgsolo.event`)
				return errors.New("fails")
			}
			handled <- e
			return nil
		}})
	jobstest.MustExec(t, pool, `select pgsolo.emit('t', '{"a": 1}', headers => '{"b": "2"}')`)
	pgtest.Eventually(t, "the dead letter", func() bool {
		return pgtest.Value[int](t, pool, `select count(*) from pgsolo.dead_letter where payload = '{"a": 1}'`) == 1
	})
	jobstest.MustExec(t, pool, `select pgsolo.replay('h')`)
	if e := pgtest.Within(t, "the replay", handled); string(e.Payload) != `{"a": 1}` || e.Headers["b"] != "2" {
		t.Errorf("got %+v", e)
	}
	l.quit()
}

// The row of an event that has failed, or that was not due, is deleted during an attempt, which fails: it is retried
// all the same, and is a dead letter after the last one.
func TestDeliveryIsDeletedUnderAnAttempt(t *testing.T) {
	retry := jobs.Retry{Attempts: 3, Backoff: time.Millisecond, MaxBackoff: time.Millisecond}
	for name, h := range map[string]Handler{
		"none":  {},
		"order": {Order: OrderKey, Concurrency: 2},
		"batch": {Batch: 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := jobstest.Pool(t)
			handled := make(chan string, 100)
			handle := func(_ context.Context, e Event) error {
				if string(e.Payload) != `"behind"` && e.Attempt < 4 {
					jobstest.MustExec(t, pool, `delete from pgsolo.delivery where event_id = $1`, e.ID)
					return errors.New("fails")
				}
				handled <- fmt.Sprintf("%d %s %s %s", e.ID, e.Key, e.Payload, e.Headers["b"])
				return nil
			}
			h.Name, h.Topic, h.Retry = "h", "t", retry
			if h.Batch == 0 {
				h.Handle = handle
			} else {
				h.HandleTx = func(ctx context.Context, _ pgx.Tx, e Event) error { return handle(ctx, e) }
			}
			l := lead(t, pool, 1, h)
			jobstest.MustExec(t, pool, `
				select pgsolo.emit('t', '"fails"', key => 'k', headers => '{"b": "2"}'),
				pgsolo.emit('t', '"behind"', key => 'k'),
				pgsolo.emit('t', '"dated"', key => 'l', deliver_at => clock_timestamp() + interval '1 ms')`)
			if got := pgtest.Within(t, "the event behind", handled); got != `2 k "behind" ` {
				t.Errorf("got %s", got)
			}
			pgtest.Eventually(t, "the dead letters", func() bool {
				return pgtest.Value[int](t, pool, `select count(*) from pgsolo.dead_letter
					where event_id in (1, 3) and attempts = 3 and key in ('k', 'l')`) == 2
			})
			l.quit()
			h.Retry.Attempts = 4
			jobstest.MustExec(t, pool, `update pgsolo.delivery set state = 'retry', next_at = now()`)
			l = lead(t, pool, 2, h)
			got := map[string]bool{pgtest.Within(t, "one", handled): true, pgtest.Within(t, "one", handled): true}
			if !got[`1 k "fails" 2`] || !got[`3 l "dated" `] {
				t.Errorf("got %v", got)
			}
			l.quit()
		})
	}
}
