package eventlog

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/privatepg"
	"github.com/pgsolo/pgsolo/jobs"
)

// suspect makes the next leader try the events of "h" one by one. ends: leaders that have ended with the third one.
func suspect(t *testing.T, pool *pgxpool.Pool, ends int) {
	t.Helper()
	jobstest.MustExec(t, pool, `insert into pgsolo.cursor (handler, topic) values ('h', 't')`)
	jobstest.MustExec(t, pool, `insert into pgsolo.handler_term
			(handler, "group", term, server, began_at, head, stuck, stuck_since)
		values ('h', 'main', 0, '', now(), 1, 2, now())`)
	jobstest.MustExec(t, pool, `insert into pgsolo.handler_cut_off (handler, event_id, ends) values ('h', 3, $1)`, ends)
}

// Whatever the handler does with its events, each one that is tried is alone, the one that has ended its leaders is a
// dead letter, and the others are handled once.
func TestEventsAreTriedOneByOne(t *testing.T) {
	none := func(context.Context, pgx.Tx, Event) error { return nil } // replaced below
	for name, more := range map[string]Handler{
		"none":             {},
		"concurrency":      {Concurrency: 4},
		"order":            {Concurrency: 4, Order: OrderKey},
		"condition":        {Concurrency: 2, When: func(Event) (bool, error) { return true, nil }},
		"batch":            {Batch: 8, HandleTx: none},
		"batches":          {Concurrency: 3, Batch: 4, HandleTx: none},
		"batch, condition": {Batch: 8, HandleTx: none, When: wantAll},
		"order, batches":   {Concurrency: 3, Batch: 4, Order: OrderKey, HandleTx: none},
	} {
		t.Run(name, func(t *testing.T) {
			pool := jobstest.Pool(t)
			jobstest.MustExec(t, pool, `select pgsolo.emit('t', to_jsonb(n), key => 'k' || n % 2)
				from generate_series(1, 40) n`)
			suspect(t, pool, 3)
			jobstest.MustExec(t, pool, `create table handled (id bigint, alone bigint)`)
			more.Name, more.Topic, more.Retry = "h", "t", jobs.Retry{Attempts: 3}
			const note = `insert into handled select $1, (select alone from pgsolo.handler_term)`
			if more.HandleTx != nil {
				more.HandleTx = func(ctx context.Context, tx pgx.Tx, e Event) error {
					_, err := tx.Exec(ctx, note, e.ID)
					return err
				}
			} else {
				more.Handle = func(ctx context.Context, e Event) error {
					_, err := pool.Exec(ctx, note, e.ID)
					return err
				}
			}
			l := lead(t, pool, 1, more)
			pgtest.Eventually(t, "all events", func() bool {
				return pgtest.Value[int](t, pool, `select count(*) from handled`)+
					pgtest.Value[int](t, pool, `select count(*) from pgsolo.dead_letter`) == 40
			})
			l.quit()
			got := pgtest.Value[string](t, pool, `select event_id || ': ' || error from pgsolo.dead_letter`)
			if want := "3: its leader ended 3 times while it alone was under way"; got != want {
				t.Errorf("dead letter %q, want %q", got, want)
			}
			if n := pgtest.Value[int](t, pool, `select count(distinct id) from handled where id <> 3`); n != 39 {
				t.Errorf("%d events are handled, want 39", n)
			}
			if n := pgtest.Value[int](t, pool, `select count(*) from handled where alone = id`); n < 17 {
				t.Errorf("%d events were tried alone, want at least 17", n)
			}
			if n := pgtest.Value[int](t, pool, `select count(*) from handled where alone <> id`); n != 0 {
				t.Errorf("%d events were under way beside one that was tried", n)
			}
		})
	}
}

func wantAll(Event) (bool, error) { return true, nil }

// A slow event is under way, alone, while the server restarts ten times, and while its leader stops as planned.
func TestSlowEventUnderRestarts(t *testing.T) {
	t.Parallel()
	server := pgtest.Server(t, privatepg.Options{})
	pool, err := pgxpool.New(t.Context(), server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if err := pgtest.Migrating(jobs.DefaultSchema, jobs.Migrate)(t.Context(), server.URL("postgres")); err != nil {
		t.Fatal(err)
	}
	jobstest.EmitMany(t, pool, 3)
	suspect(t, pool, 0)
	started, finish := make(chan int64, 100), make(chan struct{})
	slow := Handler{Name: "h", Topic: "t", Retry: jobs.Retry{Attempts: 1},
		Handle: func(ctx context.Context, e Event) error {
			started <- e.ID
			select {
			case <-finish:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}}
	term := int64(0)
	begin := func() *leader {
		term++
		l := leadWith(t, term, Options{Pool: pool, Handlers: []Handler{slow}, Topics: []Topic{{Name: "*"}}})
		if id := pgtest.Within(t, "the slow event", started); id != 1 {
			t.Fatalf("event %d begins, want 1", id)
		}
		return l
	}
	for i := range 10 {
		l := begin()
		if alone := pgtest.Value[int](t, pool, `select alone from pgsolo.handler_term`); alone != 1 {
			t.Errorf("event %d is alone, want 1", alone)
		}
		mode := privatepg.Immediate
		if i%2 == 1 {
			mode = privatepg.Fast
		}
		if err := server.Halt(t.Context(), mode); err != nil {
			t.Fatal(err)
		}
		l.die()
		if err := server.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		pgtest.Eventually(t, "the server", func() bool { return pool.Ping(t.Context()) == nil })
	}
	for range 3 {
		begin().die() // which stops it, as a drain does that takes too long
	}
	close(finish)
	l := leadWith(t, term+1, Options{Pool: pool, Handlers: []Handler{slow}, Topics: []Topic{{Name: "*"}}})
	pgtest.Eventually(t, "all events", func() bool {
		return pgtest.Value[bool](t, pool, `select done @> int8range(1, 4) from pgsolo.cursor`)
	})
	l.quit()
	if n := pgtest.Value[int](t, pool, `select count(*) from pgsolo.delivery`); n != 0 {
		t.Errorf("%d events have failed", n)
	}
}
