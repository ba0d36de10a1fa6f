// Package queue is what waits for the workers of one handler, and the results that wait to be written down. It does no
// input or output.
//
// Each delivery goes to one worker, and its result is taken once. With an order, the deliveries of one key go to
// workers one at a time, as they were pushed; after one that failed, what waits behind it comes back with the result.
// Without an order they go as they were pushed. The queue has no bound of its own: the consumer asks HasCapacity.
package queue

import (
	"sync"

	"github.com/pgsolo/pgsolo/jobs/internal/idset"
	"github.com/pgsolo/pgsolo/jobs/internal/logread"
	"github.com/pgsolo/pgsolo/jobs/internal/loop"
)

// Delivery is one record on its way to the handler.
type Delivery struct {
	Record  *logread.Record
	Attempt int
	Retry   bool // it has a row of its own in pgsolo.delivery
}

// Result is a delivery after its attempt.
type Result struct {
	Delivery
	Err     error
	Blocked []Delivery // those of its key that waited behind one that failed
	Durable bool       // it has succeeded, and that is written
}

// Results are what the workers achieved since they were last taken.
type Results struct {
	Done   idset.Set // first attempts that succeeded, except those of keys that were offloaded
	Others []Result  // all else
	Count  int
}

// Queue brings deliveries from the consumer to its workers and their results back. Both happen in one critical section,
// so that a worker's step from one event to the next costs one lock and no channel. A worker has never more than the
// event that it works on: what waits is there for any other worker, and what is done can be written down, however long
// an attempt takes.
type Queue struct {
	changed, low chan struct{} // see Changed and Low; capacity 1

	mu      sync.Mutex // guards all below
	arrived sync.Cond  // signalled when ready grows, broadcast when closed is set
	idle    int        // workers that wait for it
	ready   []Delivery // from head on, for any worker
	head    int
	chains  *chains // nil without order
	mark    int
	results Results
	closed  bool
}

// New makes a queue that keeps the order of each key where ordered says so.
func New(ordered bool) *Queue {
	q := &Queue{changed: make(chan struct{}, 1), low: make(chan struct{}, 1)}
	if ordered {
		q.chains = &chains{byKey: map[string]*chain{}}
	}
	q.arrived.L = &q.mu
	return q
}

// Changed receives, without ever blocking a worker, after a result was put where there was none.
func (q *Queue) Changed() <-chan struct{} { return q.changed }

// Low receives when as little waits as HasCapacity was asked for, or when a worker finds nothing although more waits in
// chains.
func (q *Queue) Low() <-chan struct{} { return q.low }

// Push adds the records for the workers. Only the consumer calls it.
func (q *Queue) Push(records []logread.Record) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.compact()
	if q.chains == nil {
		for i := range records {
			q.ready = append(q.ready, Delivery{Record: &records[i], Attempt: 1})
		}
	} else {
		for i := range records {
			if d := (Delivery{Record: &records[i], Attempt: 1}); q.chains.admit(d) {
				q.ready = append(q.ready, d)
			}
		}
	}
	q.wake(len(records))
}

// PushDeliveries adds deliveries that were here before, or that have a row of their own.
func (q *Queue) PushDeliveries(deliveries []Delivery) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.compact()
	for _, d := range deliveries {
		if q.chains == nil || q.chains.admit(d) {
			q.ready = append(q.ready, d)
		}
	}
	q.wake(len(deliveries))
}

// compact moves what is ready to the front, so that the same memory serves for ever.
func (q *Queue) compact() {
	n := copy(q.ready, q.ready[q.head:])
	clear(q.ready[n:])
	q.ready, q.head = q.ready[:n], 0
}

func (q *Queue) wake(n int) {
	for range min(n, q.idle) {
		q.arrived.Signal()
	}
}

// Next blocks until there is a delivery to work on, and returns false once the queue is closed.
func (q *Queue) Next() (Delivery, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.pop()
}

// TryNext is Next without waiting: it returns false, too, where nothing is ready.
func (q *Queue) TryNext() (Delivery, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.length() == 0 {
		return Delivery{}, false
	}
	return q.pop()
}

// Succeed returns a delivery that succeeded, and is Next for the rest.
func (q *Queue) Succeed(d Delivery) (Delivery, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.succeeded(d)
	return q.pop()
}

// Finish is Succeed without Next.
func (q *Queue) Finish(d Delivery) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.succeeded(d)
	q.wake(q.length())
}

// Committed returns deliveries that succeeded and are marked as done.
func (q *Queue) Committed(deliveries []Delivery) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, d := range deliveries {
		q.results.Others = append(q.results.Others, Result{Delivery: d, Durable: true})
		q.counted()
		q.follow(d)
	}
	q.wake(q.length())
}

func (q *Queue) succeeded(d Delivery) {
	if d.Retry || q.chains != nil && q.chains.isOffloaded(d) {
		q.results.Others = append(q.results.Others, Result{Delivery: d})
	} else {
		q.results.Done.Add(idset.One(d.Record.ID))
	}
	q.counted()
	q.follow(d)
}

// follow makes the delivery ready that waits behind one that is done. It becomes the last of those that are ready, so
// that a key with many does not hold up the others.
func (q *Queue) follow(d Delivery) {
	if q.chains == nil {
		return
	}
	if next, ok := q.chains.follow(d); ok {
		q.ready = append(q.ready, next)
	}
}

// Fail returns a delivery that failed.
func (q *Queue) Fail(d Delivery, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.results.Others = append(q.results.Others, Result{Delivery: d, Err: err})
	if q.chains != nil {
		q.chains.halt(d)
	}
	q.counted()
}

func (q *Queue) counted() {
	if q.results.Count++; q.results.Count == 1 {
		loop.Signal(q.changed)
	}
}

func (q *Queue) pop() (Delivery, bool) {
	for q.length() == 0 && !q.closed {
		if q.size() > q.mark {
			loop.Signal(q.low) // the consumer may find this one something to do
		}
		q.idle++
		q.arrived.Wait()
		q.idle--
	}
	if q.closed {
		return Delivery{}, false
	}
	d := q.ready[q.head]
	q.ready[q.head] = Delivery{} // let go of the page
	q.head++
	if q.size() == q.mark {
		loop.Signal(q.low)
	}
	return d, true
}

// length is how many deliveries are ready.
func (q *Queue) length() int { return len(q.ready) - q.head }

// size is how many deliveries wait, ready or not.
func (q *Queue) size() int {
	if q.chains == nil {
		return q.length()
	}
	return q.length() + q.chains.blocked
}

// Size is how many deliveries no worker has begun.
func (q *Queue) Size() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.size()
}

// Take exchanges the results since the last call for the memory of earlier ones, which hold no event any more, and says
// whether anything waits.
func (q *Queue) Take(used Results) (r Results, more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	r = q.results
	q.results = Results{Done: used.Done[:0], Others: used.Others[:0]}
	for i := range r.Others {
		if q.chains != nil && r.Others[i].Err != nil {
			r.Others[i].Blocked = q.chains.release(r.Others[i].Delivery)
		}
	}
	return r, q.size() > 0
}

// HasCapacity says whether at most so many deliveries wait. Where more do, Low receives when it is so, or when workers
// have nothing to do all the same.
func (q *Queue) HasCapacity(mark int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.mark = mark
	return q.size() <= mark
}

// IsStalled says whether workers have nothing to do while deliveries wait behind others of their keys.
func (q *Queue) IsStalled() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.idle > 0 && q.length() == 0 && q.size() > 0
}

// Offload takes out what waits behind the slowest keys, which is at least half of all that waits. The success of the
// first one of such a key is among Results.Others.
func (q *Queue) Offload() []Delivery {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.chains == nil {
		return nil
	}
	return q.chains.offload()
}

// Keys returns those with deliveries that wait or are with workers, as far as want selects them.
func (q *Queue) Keys(want func(key string) bool) []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	keys := []string{} // nil would be null in SQL
	if q.chains != nil {
		for key := range q.chains.byKey {
			if want(key) {
				keys = append(keys, key)
			}
		}
	}
	return keys
}

// Close lets the workers end after what they handle now. What waits is forgotten here; its cursor still has it.
func (q *Queue) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.ready, q.head = nil, 0
	if q.chains != nil {
		q.chains.clear()
	}
	q.arrived.Broadcast()
}
