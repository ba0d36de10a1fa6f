package queue

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/pgsolo/pgsolo/jobs/internal/idset"
	"github.com/pgsolo/pgsolo/jobs/internal/logread"
)

func records(ids ...int64) []logread.Record {
	all := make([]logread.Record, len(ids))
	for i, id := range ids {
		all[i].ID = id
	}
	return all
}

// wantNext takes the next delivery, and wants it to be that of the id.
func wantNext(t *testing.T, q *Queue, id int64) Delivery {
	t.Helper()
	d, ok := q.TryNext()
	if !ok || d.Record.ID != id {
		t.Fatalf("next is %+v, %t; want event %d", d.Record, ok, id)
	}
	return d
}

func wantEmpty(t *testing.T, q *Queue) {
	t.Helper()
	if d, ok := q.TryNext(); ok {
		t.Errorf("event %d is ready, want none", d.Record.ID)
	}
}

// The loop is woken when the workers have taken so much that it should read on.
func TestLowQueue(t *testing.T) {
	q := New(false)
	q.Push([]logread.Record{{ID: 1}, {ID: 2}, {ID: 3}})
	if q.HasCapacity(1) {
		t.Error("there is room although three wait")
	}
	for _, low := range []int{0, 1} {
		if q.Next(); len(q.Low()) != low {
			t.Errorf("woken %d times, want %d", len(q.Low()), low)
		}
	}
	if !q.HasCapacity(1) {
		t.Error("there is no room although one waits")
	}
}

// What succeeds at its first attempt is a set of ids; all else is listed.
func TestResults(t *testing.T) {
	q := New(false)
	q.Push(records(1, 2, 3, 4, 5))
	q.PushDeliveries([]Delivery{{Record: &logread.Record{ID: 9}, Attempt: 2, Retry: true}})
	failure := errors.New("fails")
	q.Finish(wantNext(t, q, 1))
	q.Finish(wantNext(t, q, 2))
	q.Fail(wantNext(t, q, 3), failure)
	q.Committed([]Delivery{wantNext(t, q, 4)})
	wantNext(t, q, 5)
	q.Finish(wantNext(t, q, 9))
	got, more := q.Take(Results{})
	if more || got.Count != 5 {
		t.Errorf("%d results, more: %t; want 5, and no more", got.Count, more)
	}
	if diff := cmp.Diff(idset.Set{{Lo: 1, Hi: 3}}, got.Done); diff != "" {
		t.Errorf("done -want +got\n%s", diff)
	}
	var others []string
	for _, r := range got.Others {
		others = append(others, strconv.FormatInt(r.Record.ID, 10)+" "+strconv.FormatBool(r.Err != nil)+" "+
			strconv.FormatBool(r.Durable)+" "+strconv.FormatBool(r.Retry))
	}
	want := []string{"3 true false false", "4 false true false", "9 false false true"}
	if diff := cmp.Diff(want, others); diff != "" {
		t.Errorf("id, failed, durable, retry: -want +got\n%s", diff)
	}
	if again, _ := q.Take(got); again.Count != 0 || len(again.Done) != 0 || len(again.Others) != 0 {
		t.Errorf("taken twice: %+v", again)
	}
}

// Results are announced once, however many they are, until they are taken.
func TestResultsAreAnnouncedOnce(t *testing.T) {
	q := New(false)
	q.Push(records(1, 2, 3))
	d, _ := q.Next()
	for range 2 {
		d, _ = q.Succeed(d)
	}
	if <-q.Changed(); len(q.Changed()) != 0 {
		t.Error("announced twice")
	}
	q.Take(Results{})
	q.Finish(d)
	if len(q.Changed()) != 1 {
		t.Error("the next result is not announced")
	}
}

// A worker that waits gets what comes, and ends when the queue is closed.
func TestNextWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New(false)
		var (
			mu      sync.Mutex
			handled []int64
			workers sync.WaitGroup
		)
		for range 3 {
			workers.Go(func() {
				for d, ok := q.Next(); ok; d, ok = q.Succeed(d) {
					mu.Lock()
					handled = append(handled, d.Record.ID)
					mu.Unlock()
				}
			})
		}
		synctest.Wait()
		q.Push(records(1))
		q.Push(records(2, 3, 4, 5))
		synctest.Wait()
		q.Close()
		workers.Wait()
		slices.Sort(handled)
		if diff := cmp.Diff([]int64{1, 2, 3, 4, 5}, handled); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
		if q.Push(records(6)); q.Size() != 1 {
			t.Errorf("size %d", q.Size())
		}
		if _, ok := q.Next(); ok {
			t.Error("a closed queue has a next delivery")
		}
	})
}

// Whatever workers do with a queue, each record is with one of them at a time until it has succeeded, and comes out as
// a result once.
func TestQueueModel(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 1))
		q := New(false)
		var (
			next         int64
			with         []Delivery
			done, failed int
			used         Results
		)
		for range 2000 {
			switch random.IntN(4) {
			case 0:
				var ids []int64
				for range random.IntN(5) {
					next++
					ids = append(ids, next)
				}
				q.Push(records(ids...))
			case 1:
				if d, ok := q.TryNext(); ok {
					with = append(with, d)
				}
			case 2:
				if len(with) > 0 {
					i := random.IntN(len(with))
					if random.IntN(3) == 0 {
						q.Fail(with[i], errors.New("at random"))
					} else {
						q.Finish(with[i])
					}
					with = slices.Delete(with, i, i+1)
				}
			case 3:
				var more bool
				used, more = q.Take(used)
				done += used.Done.Size()
				failed += len(used.Others)
				if more != (q.Size() > 0) {
					t.Fatalf("seed %d: more: %t, and %d wait", seed, more, q.Size())
				}
			}
		}
		used, _ = q.Take(used)
		done, failed = done+used.Done.Size(), failed+len(used.Others)
		if all := int64(done + failed + len(with) + q.Size()); all != next {
			t.Errorf("seed %d: %d done, %d failed, %d with workers and %d waiting of %d",
				seed, done, failed, len(with), q.Size(), next)
		}
	}
}
