package eventlog

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
)

// setupEffects returns a pool on a database in which handlers can leave something.
func setupEffects(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool := jobstest.Pool(t)
	jobstest.MustExec(t, pool,
		`create table effect (event_id bigint, attempt integer, n bigint, tx xid8 default pg_current_xact_id())`)
	return pool
}

func leaveEffect(ctx context.Context, tx pgx.Tx, e Event) error {
	_, err := tx.Exec(ctx, `insert into effect select $1, $2, $3::jsonb::bigint`, e.ID, e.Attempt, string(e.Payload))
	return err
}

// effects lists what was left, as event/attempt.
func effects(t *testing.T, pool *pgxpool.Pool) (list []string) {
	t.Helper()
	return pgtest.Value[[]string](t, pool,
		`select coalesce(array_agg(event_id || '/' || attempt order by event_id, attempt), '{}') from effect`)
}

func wantEffects(t *testing.T, pool *pgxpool.Pool, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, effects(t, pool)); diff != "" {
		t.Errorf("effects -want +got\n%s", diff)
	}
}

// emitNumbers inserts so many events in one transaction, so that they are read together.
func emitNumbers(t testing.TB, pool *pgxpool.Pool, n int) {
	t.Helper()
	jobstest.MustExec(t, pool,
		`insert into pgsolo.event (topic, payload) select 't', to_jsonb(n) from generate_series(1, $1::int) n`, n)
}

// settled waits until nothing of the first n events is left to be done.
func settled(t testing.TB, pool *pgxpool.Pool, n int) {
	t.Helper()
	pgtest.Eventually(t, "all events to be done", func() bool {
		return pgtest.Value[bool](t, pool,
			`select coalesce((select done @> int8range(1, $1 + 1) from pgsolo.cursor where handler = 'h'), false)
			and not exists (select from pgsolo.delivery where state <> 'dead')`, n)
	})
}

func TestEffectAndProgressAreOneTransaction(t *testing.T) {
	pool := setupEffects(t)
	l := lead(t, pool, 1, Handler{Name: "h", Topic: "t", HandleTx: leaveEffect})
	emitNumbers(t, pool, 1)
	settled(t, pool, 1)
	l.quit() // which would write what is not written
	if !pgtest.Value[bool](t, pool, `select e.xmin = c.xmin from effect e, pgsolo.cursor c`) {
		t.Error("the effect and the progress are of two transactions")
	}
	if s := l.runner.Stats().Handlers[0]; s.Handled != 1 || s.InFlight != 0 {
		t.Errorf("stats: %+v", s)
	}
}

// A batch is as many events as wait, and one transaction; what fails undoes its own effect and nothing else.
func TestBatch(t *testing.T) {
	pool := setupEffects(t)
	var attempts atomic.Int64
	l := lead(t, pool, 1, Handler{
		Name: "h", Topic: "t", Batch: 10, Retry: jobs.Retry{Attempts: 5, Backoff: time.Millisecond},
		When: func(e Event) (bool, error) { return e.ID != 7, nil },
		HandleTx: func(ctx context.Context, tx pgx.Tx, e Event) error {
			attempts.Add(1)
			if err := leaveEffect(ctx, tx, e); err != nil {
				return err
			}
			if e.Attempt == 1 {
				switch e.ID {
				case 2:
					return errors.New("no")
				case 3:
					panic("no")
				case 5:
					_, err := tx.Exec(ctx, `select 1/0`)
					return err
				case 6:
					_, _ = tx.Exec(ctx, `select 1/0`)
					return nil
				}
			}
			return nil
		},
	})
	emitNumbers(t, pool, 30)
	settled(t, pool, 30)
	want := make([]string, 0, 29)
	for id := range 30 {
		switch id++; id {
		case 7:
		case 2, 3, 5, 6:
			want = append(want, fmt.Sprint(id, "/2"))
		default:
			want = append(want, fmt.Sprint(id, "/1"))
		}
	}
	slices.SortFunc(want, func(a, b string) int { return number(a) - number(b) })
	wantEffects(t, pool, want...)
	if n := pgtest.Value[int](t, pool, `select count(distinct tx) from effect where attempt = 1`); n != 3 {
		t.Errorf("29 attempts in %d transactions, want 3", n)
	}
	l.quit()
	s := l.runner.Stats().Handlers[0]
	if s.Handled != 29 || s.Failed != 4 || s.Filtered != 1 || s.Retried != 4 || attempts.Load() != 33 {
		t.Errorf("stats %+v, %d attempts", s, attempts.Load())
	}
	if s.Batches.Sum != 29 || s.Durations.Count != 33 {
		t.Errorf("batches %+v, durations %+v", s.Batches, s.Durations)
	}
}

func number(effect string) (n int) {
	_, _ = fmt.Sscan(strings.Split(effect, "/")[0], &n)
	return n
}

// What breaks the transaction is a failed attempt of the event that did it. The others of the batch are handled again,
// and are not the worse for it.
func TestBrokenTransaction(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		do      func(ctx context.Context, tx pgx.Tx) error
		want    string        // the error
		timeout time.Duration // which the other events need not come near
	}{
		"a statement past its time": {
			do: func(ctx context.Context, tx pgx.Tx) error {
				_,
					err := tx.Exec(ctx, `select pg_sleep(60)`)
				return err
			},
			want:    "not done within its timeout of 2s%",
			timeout: 2 * time.Second,
		},
		"rolled back": {
			do:   func(ctx context.Context, tx pgx.Tx) error { _, err := tx.Exec(ctx, `rollback`); return err },
			want: "HandleTx has ended its transaction%",
		},
		"savepoint released": {
			do: func(ctx context.Context, tx pgx.Tx) error {
				_, err := tx.Exec(ctx, `release savepoint pgsolo_event`)
				return err
			},
			want: "HandleTx has ended its transaction%savepoint \"pgsolo_event\" does not exist%",
		},
		"rows left open": {
			do: func(ctx context.Context, tx pgx.Tx) error {
				_, err := tx.Query(ctx, `select generate_series(1, 1000)`)
				return err
			},
			want: "HandleTx has ended its transaction%",
		},
		"closed": {
			do:   func(ctx context.Context, tx pgx.Tx) error { return tx.Conn().Close(ctx) },
			want: "HandleTx has ended its transaction%",
		},
		"session ended": {
			do: func(ctx context.Context, tx pgx.Tx) error {
				_, err := tx.Exec(ctx, `select pg_terminate_backend(pg_backend_pid())`)
				return err
			},
			want: "%terminating connection due to administrator command%",
		},
		"committed by its method": {
			do:   func(ctx context.Context, tx pgx.Tx) error { return tx.Commit(ctx) },
			want: "the transaction of HandleTx ends when%",
		},
		"goroutine ended": {
			do:   func(context.Context, pgx.Tx) error { runtime.Goexit(); return nil },
			want: "the function ended its goroutine",
		},
		"refused at the commit": {
			do: func(ctx context.Context, tx pgx.Tx) error {
				_, err := tx.Exec(ctx, `insert into strict values (1), (1)`)
				return err
			},
			want: "commit: ERROR: duplicate key%",
		},
		"progress refused": {
			do: func(ctx context.Context, tx pgx.Tx) error {
				_, err := tx.Exec(ctx, `set local role nobody`)
				return err
			},
			want: "%permission denied%",
		},
	} {
		for _, batch := range []int{5, 3} { // in the middle, and at the end
			if batch == 3 && name == "savepoint released" {
				continue // is nothing to complain of
			}
			t.Run(fmt.Sprint(name, "/", batch), func(t *testing.T) {
				pool := setupEffects(t)
				jobstest.MustExec(t, pool, `create table strict (n int unique deferrable initially deferred)`)
				jobstest.MustExec(t, pool,
					`do $$ begin if to_regrole('nobody') is null then create role nobody; end if; end $$`)
				jobstest.MustExec(t, pool, `grant insert on effect to nobody`)
				l := lead(t, pool, 1, Handler{
					Name: "h", Topic: "t", Batch: batch, Timeout: test.timeout, Retry: jobs.Retry{Attempts: 1},
					HandleTx: func(ctx context.Context, tx pgx.Tx, e Event) error {
						if err := leaveEffect(ctx, tx, e); err != nil || e.ID != 3 {
							return err
						}
						return test.do(ctx, tx)
					},
				})
				emitNumbers(t, pool, 5)
				settled(t, pool, 5)
				wantEffects(t, pool, "1/1", "2/1", "4/1", "5/1")
				if dead := pgtest.Value[[]string](t, pool,
					`select array_agg(event_id || ' ' || error) from pgsolo.dead_letter where event_id <> 3
						or error not like $1`, test.want); dead != nil {
					t.Errorf("dead letters: %q", dead)
				}
				if n := pgtest.Value[int](t, pool, `select count(*) from pgsolo.dead_letter`); n != 1 {
					t.Errorf("%d dead letters, want 1", n)
				}
				l.quit()
				if s := l.runner.Stats().Handlers[0]; s.Handled != 4 || s.Failed != 1 {
					t.Errorf("stats: %+v", s)
				}
			})
		}
	}
}

// The rate and the breaker hold in batches too.
func TestBatchPassesTheGate(t *testing.T) {
	pool := setupEffects(t)
	attempts := make(chan int64, 100)
	l := lead(t, pool, 1, Handler{
		Name: "h", Topic: "t", Batch: 10, Breaker: jobs.Breaker{Failures: 2, Pause: time.Hour, MaxPause: time.Hour},
		Retry: jobs.Retry{Backoff: time.Hour},
		HandleTx: func(ctx context.Context, tx pgx.Tx, e Event) error {
			attempts <- e.ID
			if e.ID >= 3 {
				return errDown
			}
			return leaveEffect(ctx, tx, e)
		},
	})
	emitNumbers(t, pool, 9)
	pgtest.Eventually(t, "what came of the batch to be written", func() bool {
		return pgtest.Value[bool](t, pool, `select coalesce((select done = '{[1,5)}' from pgsolo.cursor), false)`)
	})
	wantEffects(t, pool, "1/1", "2/1")
	l.quit()
	if len(attempts) != 4 {
		t.Errorf("%d attempts, want 4", len(attempts))
	}

	handler := Handler{Name: "h", Topic: "t", Batch: 10, Rate: jobs.Rate{Events: 1, Per: time.Hour},
		HandleTx: leaveEffect}
	second := lead(t, pool, 2, handler)
	pgtest.Eventually(t, "one more event", func() bool { return len(effects(t, pool)) == 3 })
	second.quit()
	wantEffects(t, pool, "1/1", "2/1", "5/1")
}

// The order of a key holds over batches, failures and retries.
func TestBatchesKeepTheOrderOfKeys(t *testing.T) {
	pool := setupEffects(t)
	jobstest.MustExec(t, pool, `alter table effect add column seq bigserial`)
	lead(t, pool, 1, Handler{
		Name: "h", Topic: "t", Batch: 10, Concurrency: 2, Order: OrderKey,
		Retry: jobs.Retry{Attempts: 100, Backoff: time.Millisecond, MaxBackoff: time.Millisecond},
		HandleTx: func(ctx context.Context, tx pgx.Tx, e Event) error {
			if e.ID%7 == int64(e.Attempt) {
				return errors.New("not yet")
			}
			return leaveEffect(ctx, tx, e)
		},
	})
	jobstest.MustExec(t, pool,
		`insert into pgsolo.event (topic, payload, key) select 't', to_jsonb(n), n % 10 from generate_series(1, 300) n`)
	settled(t, pool, 300)
	if n := pgtest.Value[int](t, pool,
		`select count(*) from (select n, lag(n) over (partition by n % 10 order by seq) as earlier from effect) e
			where earlier > n`); n != 0 {
		t.Errorf("%d events out of order", n)
	}
	if n := pgtest.Value[int](t, pool, `select count(*) from effect`); n != 300 {
		t.Errorf("%d effects, want 300", n)
	}
}
