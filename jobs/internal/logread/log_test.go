package logread

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/idset"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// setupLog returns the log of topic t with events 1 to n, as two handlers share it.
func setupLog(t *testing.T, n int) (*Log, *jobstest.Reads) {
	t.Helper()
	pool, traced := jobstest.PoolOfReads(t)
	jobstest.EmitMany(t, pool, n)
	l := NewLog(NewReader(pg.DB{Pool: pool, Schema: jobs.DefaultSchema}, "t"), new(atomic.Int64))
	l.Join()
	l.Join()
	return l, traced
}

func recordIDs(p Page) (ids []int64) {
	for _, r := range p.Records {
		ids = append(ids, r.ID)
	}
	return ids
}

func TestReadsAreShared(t *testing.T) {
	l, traced := setupLog(t, 3)
	for _, step := range []struct {
		after, rings int64
		want         []int64
		reads        int64 // so far
		does         string
	}{
		{0, 0, []int64{1, 2, 3}, 1, "the first one reads"},
		{0, 0, []int64{1, 2, 3}, 1, "the second one finds the page"},
		{0, 1, []int64{1, 2, 3}, 1, "and may have it although the doorbell has rung since"},
		{2, 1, []int64{3}, 1, "a part of it will do"},
		{3, 0, nil, 1, "and it says that nothing followed before the ring"},
		{3, 1, nil, 2, "but not after it"},
		{3, 1, nil, 2, "which another one then knows"},
	} {
		l.rings.Store(step.rings)
		got, err := l.After(t.Context(), step.after, step.rings)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(step.want, recordIDs(got)); diff != "" || traced.Count.Load() != step.reads {
			t.Errorf("%s: after %d, ring %d: %d reads, want %d; -want +got\n%s", step.does, step.after, step.rings,
				traced.Count.Load(), step.reads, diff)
		}
	}
	l.Begin()
	if _, err := l.After(t.Context(), 0, 0); err != nil || traced.Count.Load() != 3 {
		t.Errorf("a new term: %v, %d reads, want 3: it reads anew", err, traced.Count.Load())
	}
}

// Of two that want the same, one reads. If it is stopped at that, the other one reads for itself.
func TestReadUnderWayIsJoined(t *testing.T) {
	for name, stopped := range map[string]bool{"the reader goes on": false, "the reader is stopped": true} {
		t.Run(name, func(t *testing.T) {
			l, traced := setupLog(t, 3)
			open := traced.Shut()
			defer open()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			first, second := make(chan error, 1), make(chan error, 1)
			go func() {
				_, err := l.After(ctx, 0, 0)
				first <- err
			}()
			pgtest.Eventually(t, "the first one to read", func() bool { return traced.Count.Load() == 1 })
			joining := &asked{Context: t.Context(), asked: make(chan struct{})}
			var got Page
			go func() {
				var err error
				got, err = l.After(joining, 0, 0)
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
			if err := pgtest.Within(t, "the second one", second); err != nil || len(got.Records) != 3 ||
				traced.Count.Load() != reads {
				t.Errorf("the second one: %v, %d events after %d reads, want 3 after %d", err, len(got.Records),
					traced.Count.Load(), reads)
			}
		})
	}
}

// asked is a context that announces the first wait for it.
type asked struct {
	context.Context
	once  sync.Once
	asked chan struct{}
}

func (a *asked) Done() <-chan struct{} {
	a.once.Do(func() { close(a.asked) })
	return a.Context.Done()
}

func TestCacheIsBounded(t *testing.T) {
	l := NewLog(Reader{}, new(atomic.Int64))
	add := func(after int64, bytes int) {
		l.keep(&Page{after: after, Rows: 1, present: idset.Set{idset.One(after + 1)}, bytes: bytes})
	}
	for i := range int64(10) {
		add(i, cacheBytes/4)
	}
	if len(l.cache) > 4 || l.cached > cacheBytes || l.find(9, 0) == nil || l.find(0, 0) != nil {
		t.Errorf("%d pages, %d bytes, the last: %v, the first: %v", len(l.cache), l.cached, l.find(9, 0), l.find(0, 0))
	}
	for i := range int64(10 * cachePages) {
		add(i, 1)
		l.keep(&Page{after: i + 1})
	}
	if len(l.cache) > cachePages {
		t.Errorf("%d pages, want at most %d", len(l.cache), cachePages)
	}
}

// A read that takes too long is tried again with fewer rows, which may be those that take much memory.
func TestSlowReadsBecomeSmaller(t *testing.T) {
	l, _ := setupLog(t, 3)
	ctx, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	for _, want := range []int{4, 1, 1} {
		if _, err := l.After(ctx, 0, 0); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		if got := l.PageLimit(); got != want {
			t.Errorf("the next page has %d rows, want %d", got, want)
		}
	}
	if p, err := l.After(t.Context(), 0, 0); err != nil || p.Rows != 1 {
		t.Errorf("%d rows, %v", p.Rows, err)
	}
	if l.PageLimit() != 2 {
		t.Errorf("the next page has %d rows", l.PageLimit())
	}
}
