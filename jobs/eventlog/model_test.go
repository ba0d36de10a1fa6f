package eventlog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
)

// ledger is what the producers committed and what the handlers did.
type ledger struct {
	mu        sync.Mutex // guards all below
	committed map[int64]string
	handled   map[string]map[int64]int // by handler
}

// Producers insert alone, in batches, with savepoints, in transactions that commit late, and roll back; handlers fail
// at random; leaders are replaced at random, half of them while the old one still works. In the end every committed
// event has been handled by every handler, nothing that was rolled back has, and no id is left open.
//
// PGSOLO_TEST_SEED and PGSOLO_TEST_ROUNDS repeat and prolong it.
func TestModel(t *testing.T) {
	t.Parallel()
	seed, rounds := uint64(1), 12
	if n, err := strconv.ParseUint(os.Getenv("PGSOLO_TEST_SEED"), 10, 64); err == nil {
		seed = n
	}
	if n, err := strconv.Atoi(os.Getenv("PGSOLO_TEST_ROUNDS")); err == nil {
		rounds = n
	}
	pool := jobstest.Pool(t)
	l := &ledger{committed: map[int64]string{}, handled: map[string]map[int64]int{}}
	stop := make(chan struct{})
	var producing sync.WaitGroup
	for i := range 6 {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		producing.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := l.produce(pool, random); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}

	random := rand.New(rand.NewPCG(seed, 100))
	var leaders []*leader
	for term := range int64(rounds) {
		leaders = append(leaders,
			lead(t, pool, term+1, l.handler("a", "x", 1), l.handler("b", "x", 4), l.handler("c", "y", 2)))
		want := l.size() + 50 + random.IntN(300)
		pgtest.Eventually(t, "more events", func() bool { return l.size() >= want || t.Failed() })
		if random.IntN(2) == 0 && term+1 < int64(rounds) {
			leaders[term].die()
		}
	}
	close(stop)
	producing.Wait()

	missing := func() (n int) {
		l.mu.Lock()
		defer l.mu.Unlock()
		for id, topic := range l.committed {
			for handler, of := range map[string]string{"a": "x", "b": "x", "c": "y"} {
				if of == topic && l.handled[handler][id] == 0 {
					n++
				}
			}
		}
		return n
	}
	pgtest.Eventually(t, "every event", func() bool { return missing() == 0 })
	pgtest.Eventually(t, "every id to be settled", func() bool {
		return pgtest.Value[bool](t, pool,
			`select coalesce(bool_and(done @> int8range(1, (select max(id) + 1 from pgsolo.event))), false)
				from pgsolo.cursor`)
	})
	pgtest.Eventually(t, "every retry", func() bool {
		return pgtest.Value[int](t, pool, `select count(*) from pgsolo.delivery`) == 0
	})
	leaders[rounds-1].quit()
	l.mu.Lock() // a leader that was replaced may be handling something yet
	defer l.mu.Unlock()
	for handler, events := range l.handled {
		for id := range events {
			if _, ok := l.committed[id]; !ok {
				t.Errorf("handler %s got event %d, which was not committed", handler, id)
			}
		}
	}
	t.Logf("%d events, %d terms", len(l.committed), rounds)
}

func (l *ledger) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.committed)
}

// handler fails one attempt in ten, and panics in one of a hundred.
func (l *ledger) handler(name, topic string, concurrency int) Handler {
	return Handler{
		Name: name, Topic: topic, Concurrency: concurrency,
		Retry: jobs.Retry{Attempts: 100, Backoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond},
		Handle: func(ctx context.Context, e Event) error {
			switch n := rand.IntN(100); {
			case ctx.Err() != nil:
				return ctx.Err()
			case n == 0:
				panic("at random")
			case n < 10:
				return errors.New("at random")
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.handled[name] == nil {
				l.handled[name] = map[int64]int{}
			}
			l.handled[name][e.ID]++
			return nil
		},
	}
}

// produce runs one transaction of some kind.
func (l *ledger) produce(pool *pgxpool.Pool, random *rand.Rand) error {
	ctx := context.Background()
	tx, err := pool.Begin(ctx)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = tx.Rollback(ctx) }()
	ids := map[int64]string{}
	insert := func(in pgx.Tx, n int) error {
		topic := [...]string{"x", "y", "z"}[random.IntN(3)]
		rows, err := in.Query(ctx,
			`insert into pgsolo.event (topic, payload) select $1, to_jsonb(n) from generate_series(1, $2::int) n
				returning id`, topic, n)
		if err != nil {
			return err
		}
		var id int64
		_, err = pgx.ForEachRow(rows, []any{&id}, func() error { ids[id] = topic; return nil })
		return err
	}
	switch kind := random.IntN(7); kind {
	case 0: // a number first, an id later: the order of the two differs between transactions
		if _, err = tx.Exec(ctx, `select pg_current_xact_id(), pg_sleep($1)`, random.Float64()/100); err == nil {
			err = insert(tx, 1)
		}
	case 1: // an id first, a late commit
		if err = insert(tx, 1+random.IntN(3)); err == nil {
			_, err = tx.Exec(ctx, `select pg_sleep($1)`, random.Float64()/20)
		}
	case 2: // a savepoint that is rolled back, and a row after it
		var inner pgx.Tx
		if inner, err = tx.Begin(ctx); err == nil {
			err = insert(inner, 2)
			err = errors.Join(err, inner.Rollback(ctx))
		}
		clear(ids)
		if err == nil {
			err = insert(tx, 1)
		}
	case 3: // a batch
		err = insert(tx, 20)
	case 4: // COPY, which returns no ids
		if _, err = tx.CopyFrom(ctx, pgx.Identifier{"pgsolo", "event"}, []string{"topic"},
			pgx.CopyFromRows([][]any{{"x"}, {"y"}, {"x"}})); err == nil {
			var rows pgx.Rows
			var id int64
			var topic string
			if rows, err = tx.Query(ctx,
				`select id, topic from pgsolo.event where xmin = pg_current_xact_id()::xid`); err == nil {
				_, err = pgx.ForEachRow(rows, []any{&id, &topic}, func() error { ids[id] = topic; return nil })
			}
		}
	default:
		err = insert(tx, 1)
	}
	if err != nil {
		return fmt.Errorf("insert: %w", err)
	}
	if random.IntN(5) == 0 {
		return tx.Rollback(ctx)
	}
	// Before the commit: a handler may be quicker than this goroutine.
	l.mu.Lock()
	for id, topic := range ids {
		l.committed[id] = topic
	}
	l.mu.Unlock()
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}
