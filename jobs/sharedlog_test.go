package jobs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// reads counts the reads of new events, and lets a test stop them at the door.
type reads struct {
	count atomic.Int64
	mu    sync.Mutex // guards all below
	door  chan struct{}
}

func (r *reads) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if strings.HasPrefix(data.SQL, selectNew) {
		r.count.Add(1)
		r.mu.Lock()
		door := r.door
		r.mu.Unlock()
		if door != nil {
			select {
			case <-door:
			case <-ctx.Done():
			}
		}
	}
	return ctx
}

func (r *reads) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// shut stops reads from now on until open is called.
func (r *reads) shut() (open func()) {
	door := make(chan struct{})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.door = door
	return sync.OnceFunc(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.door = nil
		close(door)
	})
}

func setupReads(t *testing.T) (*pgxpool.Pool, *reads) {
	t.Helper()
	config, err := pgxpool.ParseConfig(pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	traced := &reads{}
	config.ConnConfig.Tracer = traced
	config.MaxConns = 10
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool, traced
}

// setupLog returns the log of topic t with events 1 to n, as two handlers share it.
func setupLog(t *testing.T, n int) (*eventLog, *reads) {
	t.Helper()
	pool, traced := setupReads(t)
	emitMany(t, pool, n)
	l := newEventLog(newLogReader(pool, DefaultSchema, "t"), new(atomic.Int64))
	l.readers = 2
	return l, traced
}

func emitMany(t *testing.T, pool *pgxpool.Pool, n int) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), `insert into pgsolo.event (topic, payload) select 't', to_jsonb(n) from generate_series(1, $1::int) n`, n); err != nil {
		t.Fatal(err)
	}
}

func recordIDs(p page) (ids []int64) {
	for _, r := range p.records {
		ids = append(ids, r.id)
	}
	return ids
}

func TestReadsAreShared(t *testing.T) {
	l, traced := setupLog(t, 3)
	for _, step := range []struct {
		after, rung int64
		want        []int64
		reads       int64 // so far
		does        string
	}{
		{0, 0, []int64{1, 2, 3}, 1, "the first one reads"},
		{0, 0, []int64{1, 2, 3}, 1, "the second one finds the page"},
		{0, 1, []int64{1, 2, 3}, 1, "and may have it although the doorbell has rung since"},
		{2, 1, []int64{3}, 1, "a part of it will do"},
		{3, 0, nil, 1, "and it tells that nothing followed before the ring"},
		{3, 1, nil, 2, "but not after it"},
		{3, 1, nil, 2, "which another one then knows"},
	} {
		l.rings.Store(step.rung)
		got, err := l.after(t.Context(), step.after, step.rung)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(step.want, recordIDs(got)); diff != "" || traced.count.Load() != step.reads {
			t.Errorf("%s: after %d, ring %d: %d reads, want %d; -want +got\n%s", step.does, step.after, step.rung, traced.count.Load(), step.reads, diff)
		}
	}
	l.begin()
	if _, err := l.after(t.Context(), 0, 0); err != nil || traced.count.Load() != 3 {
		t.Errorf("a new term: %v, %d reads, want 3: it reads anew", err, traced.count.Load())
	}
}

// Of two that want the same, one reads. If it is stopped at that, the other one reads for itself.
func TestReadUnderWayIsJoined(t *testing.T) {
	for name, stopped := range map[string]bool{"the reader goes on": false, "the reader is stopped": true} {
		t.Run(name, func(t *testing.T) {
			l, traced := setupLog(t, 3)
			open := traced.shut()
			defer open()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			first, second := make(chan error, 1), make(chan error, 1)
			go func() {
				_, err := l.after(ctx, 0, 0)
				first <- err
			}()
			pgtest.Eventually(t, "the first one to read", func() bool { return traced.count.Load() == 1 })
			joining := &asked{Context: t.Context(), asked: make(chan struct{})}
			var got page
			go func() {
				var err error
				got, err = l.after(joining, 0, 0)
				second <- err
			}()
			pgtest.Within(t, "the second one to wait", joining.asked)
			reads := int64(1)
			if stopped {
				cancel()
				if err := pgtest.Within(t, "the first one", first); !errors.Is(err, context.Canceled) {
					t.Errorf("the first one: %v", err)
				}
				reads = 2
			}
			open()
			if err := pgtest.Within(t, "the second one", second); err != nil || len(got.records) != 3 || traced.count.Load() != reads {
				t.Errorf("the second one: %v, %d events after %d reads, want 3 after %d", err, len(got.records), traced.count.Load(), reads)
			}
		})
	}
}

// asked tells when somebody waits for it.
type asked struct {
	context.Context
	once  sync.Once
	asked chan struct{}
}

func (a *asked) Done() <-chan struct{} {
	a.once.Do(func() { close(a.asked) })
	return a.Context.Done()
}

// A page from before the ring does not let the consumer sleep.
func TestPageFromBeforeTheRing(t *testing.T) {
	c := newConsumer(Handler{Name: "h"}, newEventLog(logReader{}, new(atomic.Int64)), hclog.NewNullLogger())
	c.begin(Lead{})
	c.rung = 2
	for rung, more := range map[int64]bool{1: true, 2: false, 3: false} {
		if c.arrived(&page{rung: rung}); c.more != more {
			t.Errorf("after a page that was read after ring %d and before the next: reads on: %t, want %t", rung, c.more, more)
		}
	}
}

func TestCacheIsBounded(t *testing.T) {
	l := newEventLog(logReader{}, new(atomic.Int64))
	add := func(after int64, bytes int) {
		l.keep(&page{after: after, rows: 1, present: ranges{{after + 1, after + 2}}, bytes: bytes})
	}
	for i := range int64(10) {
		add(i, cacheBytes/4)
	}
	if len(l.cache) > 4 || l.cached > cacheBytes || l.find(9, 0) == nil || l.find(0, 0) != nil {
		t.Errorf("%d pages, %d bytes, the last: %v, the first: %v", len(l.cache), l.cached, l.find(9, 0), l.find(0, 0))
	}
	for i := range int64(10 * cachePages) {
		add(i, 1)
		l.keep(&page{after: i + 1})
	}
	if len(l.cache) > cachePages {
		t.Errorf("%d pages, want at most %d", len(l.cache), cachePages)
	}
}

// Each handler may do with its event what it likes.
func TestHandlersDoNotDisturbEachOther(t *testing.T) {
	for handlers := 1; handlers <= 2; handlers++ {
		t.Run(fmt.Sprint(handlers), func(t *testing.T) {
			pool := setup(t)
			if _, err := pool.Exec(t.Context(), `insert into pgsolo.event (topic, key, payload, headers)
				select 't', 'key' || n, to_jsonb(n), jsonb_build_object('n', n::text) from generate_series(1, 200) n`); err != nil {
				t.Fatal(err)
			}
			var all sync.WaitGroup
			all.Add(200 * handlers)
			handle := func(_ context.Context, e Event) error {
				defer all.Done()
				want := fmt.Sprint(e.ID)
				if string(e.Payload) != want || e.Headers["n"] != want || e.Key != "key"+want {
					t.Errorf("event %d: key %q, payload %q, headers %v", e.ID, e.Key, e.Payload, e.Headers)
				}
				clear(e.Payload)
				e.Payload = append(e.Payload, "and the next one's"...)
				e.Headers["n"] = string(e.Payload)
				return nil
			}
			var list []Handler
			for i := range handlers {
				list = append(list, Handler{Name: fmt.Sprint("h", i), Topic: "t", Handle: handle})
			}
			l := lead(t, pool, 1, list...)
			all.Wait()
			l.quit()
		})
	}
}
