package eventlog

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// Ids of transactions that rolled back are settled although an old transaction runs on that has nothing to do with the
// log: otherwise each write of progress would have them all. What a transaction has emitted that runs on comes, too.
func TestGapsUnderAnOldTransaction(t *testing.T) {
	t.Parallel()
	pool := jobstest.Pool(t)
	handler, events := recorder("h", "t")
	l := lead(t, pool, 1, handler)
	open := jobstest.Begin(t, pool)
	pgtest.Value[string](t, open, `select pg_current_xact_id()::text`)
	const many = 20_000
	late := jobstest.Begin(t, pool)
	id := jobstest.Emit(t, late, "t", `"late"`)
	pid := pgtest.Value[int32](t, late, `select pg_backend_pid()`)
	execute(t, pool, `do $$ begin
		perform nextval('pgsolo.event_id_seq') from generate_series(1, 40001);
		insert into pgsolo.event (id, topic) select 2 * n, 'other' from generate_series(1, 20000) n;
	end $$`)
	jobstest.Emit(t, pool, "t", `1`)
	pgtest.Within(t, "the event above", events)
	gaps := func() int {
		return pgtest.Value[int](t, pool, `select count(*) from pgsolo.cursor, unnest(done)`)
	}
	pgtest.Eventually(t, "the transaction that may fill them", func() bool {
		emitter := l.runner.logs.Emitters.Oldest()
		return emitter != nil && emitter.PID == pid
	})
	pgtest.Eventually(t, "the gaps that it may fill", func() bool { return gaps() > many-2 })
	jobstest.Commit(t, late)
	if got := pgtest.Within(t, "the late event", events); got.ID != id {
		t.Errorf("got event %d, want %d", got.ID, id)
	}
	pgtest.Eventually(t, "the gaps to be settled", func() bool { return gaps() == 1 })
	before := pgtest.Value[string](t, pool, `select pg_current_wal_insert_lsn()::text`)
	for range 20 {
		id := jobstest.Emit(t, pool, "t", `1`)
		pgtest.Within(t, "an event", events)
		pgtest.Eventually(t, "its progress", func() bool {
			return pgtest.Value[bool](t, pool, `select done @> $1::bigint from pgsolo.cursor`, id)
		})
	}
	wal := pgtest.Value[int64](t, pool, `select (pg_current_wal_insert_lsn() - $1::pg_lsn)::bigint`, before) / 20
	if t.Logf("%d bytes of WAL for each event", wal); wal > 10_000 {
		t.Errorf("%d bytes of WAL for each event", wal)
	}
}

// Whatever transactions do that overlap, and however early ids are settled by the locks, each event comes once.
func TestLocksSettleNoEvent(t *testing.T) {
	t.Parallel()
	pool := jobstest.Pool(t)
	got := make(chan int64, 100_000)
	runner, err := New(Options{Pool: pool, Topics: []Topic{{Name: "*"}}, Handlers: []Handler{{
		Name: "h", Topic: "t", Concurrency: 4, Handle: func(_ context.Context, e Event) error {
			got <- e.ID
			return nil
		}}}})
	if err != nil {
		t.Fatal(err)
	}
	runner.logs.Emitters.OpenFor = time.Microsecond
	leadRunner(t, 1, runner)
	open := jobstest.Begin(t, pool)
	pgtest.Value[string](t, open, `select pg_current_xact_id()::text`)
	var (
		producers sync.WaitGroup
		mu        sync.Mutex // guards want
		want      = map[int64]bool{}
		until     = time.Now().Add(stress)
	)
	for seed := range uint64(12) {
		producers.Go(func() {
			random := rand.New(rand.NewPCG(seed, 0))
			for time.Now().Before(until) {
				ids, committed := produce(t, pool, random)
				mu.Lock()
				for _, id := range ids {
					want[id] = committed
				}
				mu.Unlock()
			}
		})
	}
	producers.Wait()
	want[jobstest.Emit(t, pool, "t", `1`)] = true // or the highest ids may be of rows that nobody will see
	maps.DeleteFunc(want, func(_ int64, committed bool) bool { return !committed })
	pgtest.Eventually(t, "all ids to be settled", func() bool {
		return pgtest.Value[bool](t, pool, `select done = int8multirange(int8range(1, s.last_value + 1))
			from pgsolo.cursor, pgsolo.event_id_seq s`)
	})
	for len(got) > 0 {
		id := <-got
		if !want[id] {
			t.Errorf("event %d came again, or was never committed", id)
		}
		delete(want, id)
	}
	if len(want) > 0 {
		t.Errorf("%d events never came, such as %v", len(want), slices.Sorted(maps.Keys(want))[0])
	}
}

// produce emits in a transaction and its subtransactions, which takes any time, and commits or not.
func produce(t *testing.T, pool *pgxpool.Pool, random *rand.Rand) (ids []int64, committed bool) {
	committed = random.IntN(3) > 0
	end := errors.New("rolled back")
	if committed {
		end = nil
	}
	err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		for range 1 + random.IntN(3) {
			var id int64
			keep := random.IntN(3) > 0
			err := pgx.BeginFunc(t.Context(), tx, func(tx pgx.Tx) error {
				if err := tx.QueryRow(t.Context(), `insert into pgsolo.event (topic) values ('t') returning id`).
					Scan(&id); err != nil || keep {
					return err
				}
				return errUndone
			})
			if err != nil && !errors.Is(err, errUndone) {
				return err
			}
			if keep {
				ids = append(ids, id)
			}
			if random.IntN(3) == 0 {
				if _, err := tx.Exec(t.Context(), `select pg_sleep(random() / 2)`); err != nil {
					return err
				}
			}
		}
		return end
	})
	if err != nil && err != end {
		t.Error(err)
	}
	return ids, committed
}

// stress is how long producers emit.
const stress = time.Second

var errUndone = errors.New("undone")
