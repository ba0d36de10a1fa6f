package eventlog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/loop"
)

// history is what one handler has done with each key, in terms of the events' first success.
type history struct {
	name string

	mu   sync.Mutex // guards all below
	seen map[int64]bool
	last map[string]int64 // the latest new event of each key
	wild []string         // what came in the wrong order
}

func (h *history) handle(ctx context.Context, e Event) error {
	switch n := rand.IntN(100); {
	case ctx.Err() != nil:
		return ctx.Err()
	case n == 0:
		panic("at random")
	case n < 12:
		return errors.New("at random")
	case n < 14:
		return jobs.Discard(errors.New("at random"))
	case n < 20:
		h.letOthersPass()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.seen[e.ID] {
		return nil
	}
	h.seen[e.ID] = true
	if e.Headers["scheduled"] == "" && e.Key != "" {
		if h.last[e.Key] > e.ID {
			h.wild = append(h.wild,
				fmt.Sprintf("%s, key %s: event %d after event %d", h.name, e.Key, e.ID, h.last[e.Key]))
		}
		h.last[e.Key] = max(h.last[e.Key], e.ID)
	}
	return nil
}

// letOthersPass goes on when two other events have been handled meanwhile, as far as there are any that may be.
func (h *history) letOthersPass() {
	handled := func() int {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.seen)
	}
	for before, yields := handled(), 0; handled() < before+2 && yields < 1000; yields++ {
		runtime.Gosched()
	}
}

func (h *history) count(of func(id int64) bool) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id := range h.seen {
		if of(id) {
			n++
		}
	}
	return n
}

// Each key has one producer, whose transactions follow one another, and commit late, and roll back, while those of
// others overlap them. Handlers fail, panic and give up at random, and an operator replays what they gave up. Leaders
// are replaced at random, half of them while the old one still works. Each handler gets the events of a key for the
// first time in the order of their ids.
//
// PGSOLO_TEST_SEED and PGSOLO_TEST_ROUNDS repeat and prolong it.
func TestOrderModel(t *testing.T) {
	t.Parallel()
	seed, rounds := uint64(1), 12
	if n, err := strconv.ParseUint(os.Getenv("PGSOLO_TEST_SEED"), 10, 64); err == nil {
		seed = n
	}
	if n, err := strconv.Atoi(os.Getenv("PGSOLO_TEST_ROUNDS")); err == nil {
		rounds = n
	}
	pool := jobstest.Pool(t)
	var (
		mu        sync.Mutex // guards committed
		committed = map[int64]bool{}
		stop      = make(chan struct{})
		producing sync.WaitGroup
	)
	size := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(committed)
	}
	for i := range 6 {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		producing.Go(func() {
			for !loop.IsClosed(stop) {
				ids, err := produceInOrder(pool, random, i)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				for _, id := range ids {
					committed[id] = true
				}
				mu.Unlock()
			}
		})
	}
	producing.Go(func() { // the operator
		for !loop.IsClosed(stop) {
			if _, err := pool.Exec(context.Background(),
				`select pg_sleep(0.02), pgsolo.replay(everything => true)`); err != nil {
				t.Error(err)
				return
			}
		}
	})

	plain, single, transaction := newHistory("plain"), newHistory("single"), newHistory("transaction")
	histories := []*history{plain, single, transaction}
	random := rand.New(rand.NewPCG(seed, 100))
	var leaders []*leader
	for term := range int64(rounds) {
		ordered := Handler{Topic: "t", Order: OrderKey, OnDead: OnDeadBlockKey,
			Retry: jobs.Retry{Attempts: 4, Backoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond}}
		handlers := make([]Handler, len(histories))
		for i, concurrency := range []int{8, 1, 3} {
			handlers[i] = ordered
			handlers[i].Name, handlers[i].Concurrency, handlers[i].Handle = histories[i].name, concurrency,
				histories[i].handle
		}
		handlers[2].Handle, handlers[2].Batch = nil, 5
		handlers[2].HandleTx = func(ctx context.Context, _ pgx.Tx, e Event) error { return transaction.handle(ctx, e) }
		leaders = append(leaders, lead(t, pool, term+1, handlers...))
		want := size() + 50 + random.IntN(200)
		pgtest.Eventually(t, "more events", func() bool { return size() >= want || t.Failed() })
		if random.IntN(2) == 0 && term+1 < int64(rounds) {
			leaders[term].die()
		}
	}
	close(stop)
	producing.Wait()
	for _, h := range histories {
		pgtest.Eventually(t, "every event for handler "+h.name, func() bool {
			pgtest.Value[int](t, pool, `select pgsolo.replay(everything => true)`)
			return h.count(func(id int64) bool { return committed[id] }) == len(committed)
		})
	}
	pgtest.Eventually(t, "every delivery", func() bool {
		pgtest.Value[int](t, pool, `select pgsolo.replay(everything => true)`)
		return pgtest.Value[int](t, pool, `select count(*) from pgsolo.delivery`) == 0
	})
	leaders[rounds-1].quit()
	for _, h := range histories {
		h.mu.Lock() // a leader that was replaced may be handling something yet
		for _, line := range h.wild {
			t.Error(line)
		}
		h.mu.Unlock()
		if n := h.count(func(id int64) bool { return !committed[id] }); n != 0 {
			t.Errorf("%s got %d events that were not committed", h.name, n)
		}
	}
	t.Logf("%d events, %d terms", len(committed), rounds)
}

func newHistory(name string) *history {
	return &history{name: name, seen: map[int64]bool{}, last: map[string]int64{}}
}

// produceInOrder runs one transaction of the producer, and returns its events if it has committed them.
func produceInOrder(pool *pgxpool.Pool, random *rand.Rand, producer int) ([]int64, error) {
	ctx := context.Background()
	tx, err := pool.Begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = tx.Rollback(ctx) }()
	var ids []int64
	for range 1 + random.IntN(4) {
		key := fmt.Sprintf("%d/%d", producer, random.IntN(2))
		sql := `insert into pgsolo.event (topic, key) values ('t', $1) returning id`
		switch random.IntN(10) {
		case 0:
			sql = `insert into pgsolo.event (topic, key, headers, deliver_at)
				values ('t', $1, '{"scheduled": "yes"}', clock_timestamp() + random() * interval '30 ms') returning id`
		case 1:
			sql = `insert into pgsolo.event (topic) select case when $1 = '' then '' else 't' end returning id`
		}
		var id int64
		if err := tx.QueryRow(ctx, sql, key).Scan(&id); err != nil {
			return nil, fmt.Errorf("insert: %w", err)
		}
		ids = append(ids, id)
	}
	if random.IntN(3) == 0 {
		if _, err := tx.Exec(ctx, `select pg_sleep($1)`, random.Float64()/30); err != nil {
			return nil, fmt.Errorf("sleep: %w", err)
		}
	}
	if random.IntN(5) == 0 {
		return nil, tx.Rollback(ctx)
	}
	return ids, tx.Commit(ctx)
}
