package eventlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
)

// orders are the events that a handler with OrderKey has handled, by key.
type orders struct {
	t       testing.TB
	handled chan Event // each attempt that succeeded

	mu      sync.Mutex // guards all below
	busy    map[string]bool
	done    map[string][]int64 // the first success of each event
	fail    func(Event) error
	blocked map[int64]chan struct{} // events whose attempts wait
}

func newOrders(t testing.TB) *orders {
	return &orders{
		t: t, handled: make(chan Event, 100_000), busy: map[string]bool{}, done: map[string][]int64{},
		fail: func(Event) error { return nil }, blocked: map[int64]chan struct{}{},
	}
}

var quick = jobs.Retry{Attempts: 1000, Backoff: time.Millisecond, MaxBackoff: 4 * time.Millisecond}

func (o *orders) handler(concurrency int) Handler {
	return Handler{Name: "h", Topic: "t", Order: OrderKey, Concurrency: concurrency, Retry: quick, Handle: o.handle}
}

func (o *orders) handle(ctx context.Context, e Event) error {
	if gate := o.enter(e); gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.busy, fmt.Sprint(e.Term, e.Key))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := o.fail(e); err != nil {
		return err
	}
	if !slices.Contains(o.done[e.Key], e.ID) {
		o.done[e.Key] = append(o.done[e.Key], e.ID)
	}
	o.handled <- e
	return nil
}

func (o *orders) enter(e Event) chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	if e.Key != "" {
		if key := fmt.Sprint(e.Term, e.Key); o.busy[key] {
			o.t.Errorf("event %d begins while another of key %q is handled", e.ID, e.Key)
		} else {
			o.busy[key] = true
		}
	}
	return o.blocked[e.ID]
}

// set changes something while the handler may run.
func (o *orders) set(change func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	change()
}

// check wants so many events handled, those of each key in the order of their ids.
func (o *orders) check(events int) {
	o.t.Helper()
	pgtest.Eventually(o.t, fmt.Sprintf("%d events", events), func() bool { return o.count() >= events })
	o.mu.Lock()
	defer o.mu.Unlock()
	for key, ids := range o.done {
		for i := 1; key != "" && i < len(ids); i++ {
			if ids[i] < ids[i-1] {
				o.t.Errorf("key %q: event %d after event %d", key, ids[i], ids[i-1])
			}
		}
	}
}

func (o *orders) count() (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, ids := range o.done {
		n += len(ids)
	}
	return n
}

func emitKey(t testing.TB, db jobstest.Execer, key string) (id int64) {
	t.Helper()
	return pgtest.Value[int64](t, db, `insert into pgsolo.event (topic, key) values ('t', nullif($1, '')) returning id`,
		key)
}

func emitKeys(t testing.TB, pool *pgxpool.Pool, key string, n int) {
	t.Helper()
	const insert = `insert into pgsolo.event (topic, key) select 't', $1 from generate_series(1, $2::int)`
	if _, err := pool.Exec(t.Context(), insert, key, n); err != nil {
		t.Fatal(err)
	}
}

func deliveries(t testing.TB, pool *pgxpool.Pool, state string) int {
	t.Helper()
	return pgtest.Value[int](t, pool, `select count(*) from pgsolo.delivery where state = $1`, state)
}

var errNotNow = errors.New("not now")
