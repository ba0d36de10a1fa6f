package queue

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/pgsolo/pgsolo/jobs/internal/logread"
)

func every(string) bool { return true }

func ids(deliveries []Delivery) (all []int64) {
	for _, d := range deliveries {
		all = append(all, d.Record.ID)
	}
	return all
}

// One delivery of a key is ready at a time. A key with many takes turns with the others.
func TestChain(t *testing.T) {
	q := New(true)
	q.Push([]logread.Record{
		{ID: 1, Key: "a"}, {ID: 2, Key: "a"}, {ID: 3, Key: "a"}, {ID: 4, Key: "b"}, {ID: 5}, {ID: 6},
	})
	first := wantNext(t, q, 1)
	wantNext(t, q, 4)
	wantNext(t, q, 5)
	q.Finish(first)
	wantNext(t, q, 6) // was ready before the next of a
	second := wantNext(t, q, 2)
	wantEmpty(t, q)
	if keys := q.Keys(every); len(keys) != 2 || q.Size() != 1 {
		t.Errorf("keys %v, %d wait", keys, q.Size())
	}
	q.Finish(second)
	q.Committed([]Delivery{wantNext(t, q, 3)})
	if keys := q.Keys(every); !slices.Equal(keys, []string{"b"}) || q.Size() != 0 {
		t.Errorf("keys %v, %d wait", keys, q.Size())
	}
}

// Nothing follows a failure before the consumer has taken it, together with what waited behind it.
func TestFailureHaltsItsChain(t *testing.T) {
	q := New(true)
	q.Push([]logread.Record{{ID: 1, Key: "a"}, {ID: 2, Key: "a"}, {ID: 3, Key: "b"}})
	q.Fail(wantNext(t, q, 1), errors.New("fails"))
	q.Push([]logread.Record{{ID: 4, Key: "a"}})
	wantNext(t, q, 3)
	wantEmpty(t, q)
	if offloaded := q.Offload(); len(offloaded) != 0 {
		t.Errorf("offloaded %v of a halted chain", ids(offloaded))
	}
	results, more := q.Take(Results{})
	if more || len(results.Others) != 1 {
		t.Fatalf("results %+v, more: %t", results, more)
	}
	if diff := cmp.Diff([]int64{2, 4}, ids(results.Others[0].Blocked)); diff != "" {
		t.Errorf("blocked -want +got\n%s", diff)
	}
	q.PushDeliveries(results.Others[0].Blocked)
	wantNext(t, q, 2)
	wantEmpty(t, q)
}

// What is offloaded is what waits behind slow keys. The success of the first one of such a key is a result of its own,
// so that the consumer can query the next one from where it has put it.
func TestOffload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New(true)
		var all []logread.Record
		for id := range int64(20) {
			all = append(all, logread.Record{ID: id, Key: "slow"})
		}
		q.Push(append(all, logread.Record{ID: 100, Key: "quick"}, logread.Record{ID: 101, Key: "quick"}))
		slow := wantNext(t, q, 0)
		quick := wantNext(t, q, 100)
		if q.IsStalled() {
			t.Error("stalled without an idle worker")
		}
		idle := make(chan Delivery)
		go func() {
			d, _ := q.Next()
			idle <- d
		}()
		synctest.Wait()
		if !q.IsStalled() {
			t.Error("not stalled although a worker is idle, and all that waits is behind others")
		}
		offloaded := ids(q.Offload())
		if len(offloaded) != 19 || offloaded[0] != 1 || !slices.IsSorted(offloaded) {
			t.Errorf("offloaded %v, want 1 to 19", offloaded)
		}
		q.Finish(quick)
		if d := <-idle; d.Record.ID != 101 {
			t.Errorf("event %d, want 101", d.Record.ID)
		}
		q.Finish(slow)
		results, _ := q.Take(Results{})
		if len(results.Others) != 1 || results.Others[0].Record.ID != 0 || results.Others[0].Err != nil {
			t.Errorf("the success of the slow key is no result of its own: %+v", results.Others)
		}
	})
}

// Whatever fails, is offloaded and comes back: no two deliveries of a key are with workers at once, and a key's
// deliveries come in order, as long as what the queue has given away is put back before later ones.
func TestChainsModel(t *testing.T) {
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 2))
		q := New(true)
		var (
			next  int64
			with  []Delivery
			last  = map[string]int64{}
			away  = map[string][]Delivery{} // keys that the consumer has blocked, and their deliveries
			used  Results
			count int
		)
		takeAway := func(deliveries []Delivery) {
			for _, d := range deliveries {
				away[d.Record.Key] = append(away[d.Record.Key], d)
			}
		}
		take := func() {
			used, _ = q.Take(used)
			for _, r := range used.Others {
				if r.Err != nil {
					takeAway(append([]Delivery{r.Delivery}, r.Blocked...))
				}
			}
		}
		step := func() {
			switch random.IntN(6) {
			case 0:
				take() // or the key of a failed one may not be blocked yet
				for range random.IntN(6) {
					next++
					r := &logread.Record{ID: next, Key: fmt.Sprint(random.IntN(4))}
					if _, blocked := away[r.Key]; blocked {
						takeAway([]Delivery{{Record: r, Attempt: 1}})
					} else {
						q.PushDeliveries([]Delivery{{Record: r, Attempt: 1}})
					}
				}
			case 1, 2:
				if d, ok := q.TryNext(); ok {
					for _, other := range with {
						if other.Record.Key == d.Record.Key {
							t.Fatalf("seed %d: events %d and %d of one key at once", seed, other.Record.ID, d.Record.ID)
						}
					}
					with = append(with, d)
				}
			case 3:
				if len(with) == 0 {
					return
				}
				i := random.IntN(len(with))
				d := with[i]
				with = slices.Delete(with, i, i+1)
				if random.IntN(4) == 0 {
					q.Fail(d, errors.New("at random"))
					return
				}
				if last[d.Record.Key] >= d.Record.ID {
					t.Fatalf("seed %d: event %d after event %d", seed, d.Record.ID, last[d.Record.Key])
				}
				last[d.Record.Key] = d.Record.ID
				count++
				q.Finish(d)
			case 4:
				take()
				if random.IntN(4) == 0 {
					takeAway(q.Offload())
				}
			case 5: // a key comes back when nothing of it is in the queue
				take()
				active := q.Keys(every)
				for key, deliveries := range away {
					if !slices.Contains(active, key) {
						slices.SortFunc(deliveries, func(a, b Delivery) int { return int(a.Record.ID - b.Record.ID) })
						q.PushDeliveries(deliveries)
						delete(away, key)
					}
				}
			}
		}
		for range 3000 {
			step()
		}
		take()
		waiting := 0
		for _, deliveries := range away {
			waiting += len(deliveries)
		}
		if all := int64(count + len(with) + waiting + q.Size()); all != next {
			t.Errorf("seed %d: %d done, %d with workers, %d away and %d waiting of %d",
				seed, count, len(with), waiting, q.Size(), next)
		}
		q.Close()
		if keys := q.Keys(every); len(keys) != 0 || q.Size() != 0 {
			t.Errorf("seed %d: keys %v and %d deliveries after the end", seed, keys, q.Size())
		}
	}
}
