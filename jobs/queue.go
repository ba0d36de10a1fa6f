package jobs

import "sync"

// delivery is one record on its way to the handler. retry: it failed before and has a row of its own in delivery.
type delivery struct {
	record  *record
	attempt int
	retry   bool
}

// result is a delivery after its attempt.
type result struct {
	delivery
	err error
}

// results are what the workers achieved since they were last taken.
type results struct {
	done   ranges   // first attempts that succeeded
	others []result // all else
	count  int
}

// queue hands deliveries from the consumer to its workers and their results back. Both happen in one critical section, so that a
// worker's step from one event to the next costs one lock and no channel. A worker has never more than the event in its hands:
// whatever waits is there for any other one, and whatever is done can be written down, however long an attempt takes.
type queue struct {
	// changed receives, without ever blocking the sender, after a result was put where there was none; low, when as little waits
	// as hasRoom was asked for.
	changed, low chan struct{}

	mu      sync.Mutex // guards all below
	arrived sync.Cond  // signalled when waiting grows, broadcast when closed is set
	idle    int        // workers that wait for it
	waiting []delivery // from head on
	head    int
	mark    int
	results results
	closed  bool
}

func newQueue() *queue {
	q := &queue{changed: make(chan struct{}, 1), low: make(chan struct{}, 1)}
	q.arrived.L = &q.mu
	return q
}

// push adds the records for the workers. Only the consumer calls it.
func (q *queue) push(records []record) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.makeRoom()
	for i := range records {
		q.waiting = append(q.waiting, delivery{record: &records[i], attempt: 1})
	}
	q.wake(len(records))
}

// pushRetries adds deliveries that failed before.
func (q *queue) pushRetries(retries []delivery) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.makeRoom()
	q.waiting = append(q.waiting, retries...)
	q.wake(len(retries))
}

// makeRoom moves what waits to the front, so that the same memory serves for ever.
func (q *queue) makeRoom() {
	n := copy(q.waiting, q.waiting[q.head:])
	clear(q.waiting[n:])
	q.waiting, q.head = q.waiting[:n], 0
}

func (q *queue) wake(n int) {
	for range min(n, q.idle) {
		q.arrived.Signal()
	}
}

// next blocks until there is a delivery to work on, and returns false once the queue is closed.
func (q *queue) next() (delivery, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.pop()
}

// succeed returns a delivery that succeeded, and is next for the rest.
func (q *queue) succeed(d delivery) (delivery, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if d.retry {
		q.results.others = append(q.results.others, result{d, nil})
	} else {
		q.results.done.add(span{d.record.id, d.record.id + 1})
	}
	q.counted()
	return q.pop()
}

// fail returns a delivery that failed.
func (q *queue) fail(d delivery, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.results.others = append(q.results.others, result{d, err})
	q.counted()
}

func (q *queue) counted() {
	if q.results.count++; q.results.count == 1 {
		signal(q.changed)
	}
}

func (q *queue) pop() (delivery, bool) {
	for q.length() == 0 && !q.closed {
		q.idle++
		q.arrived.Wait()
		q.idle--
	}
	if q.closed {
		return delivery{}, false
	}
	d := q.waiting[q.head]
	q.waiting[q.head] = delivery{} // let go of the page
	q.head++
	if q.length() == q.mark {
		signal(q.low)
	}
	return d, true
}

func (q *queue) length() int { return len(q.waiting) - q.head }

// take exchanges the results since the last call for the memory of earlier ones, and says whether anything waits.
func (q *queue) take(used results) (r results, more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	r = q.results
	clear(used.others)
	q.results = results{done: used.done[:0], others: used.others[:0]}
	return r, q.length() > 0
}

// hasRoom says whether at most so many deliveries wait. Where more do, low tells when it is so.
func (q *queue) hasRoom(mark int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.mark = mark
	return q.length() <= mark
}

// close lets the workers go after what they handle now. What waits is forgotten here; its cursor still has it.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.waiting, q.head = nil, 0
	q.arrived.Broadcast()
}

// signal puts a token into a channel of capacity 1, unless one is there.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
