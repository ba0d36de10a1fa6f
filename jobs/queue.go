package jobs

import "sync"

// delivery is one record on its way to the handler. retry: it failed before and has a row of its own in delivery.
type delivery struct {
	record  *record
	attempt int
	retry   bool
	waited  bool // a worker did, for this one to come
}

// result is a delivery after its attempt.
type result struct {
	delivery
	err     error
	behind  []delivery // those of its key that waited behind one that failed
	durable bool       // it has succeeded, and that is written
}

// results are what the workers achieved since they were last taken.
type results struct {
	done   ranges   // first attempts that succeeded, except those of spilled keys
	others []result // all else
	count  int
}

// queue hands deliveries from the consumer to its workers and their results back. Both happen in one critical section, so that a
// worker's step from one event to the next costs one lock and no channel. A worker has never more than the event in its hands:
// whatever waits is there for any other one, and whatever is done can be written down, however long an attempt takes.
type queue struct {
	// changed receives, without ever blocking the sender, after a result was put where there was none; low, when as little waits
	// as hasRoom was asked for, or chains alone.
	changed, low chan struct{}

	mu      sync.Mutex // guards all below
	arrived sync.Cond  // signalled when waiting grows, broadcast when closed is set
	idle    int        // workers that wait for it
	waiting []delivery // from head on, ready for any worker
	head    int
	chains  chains // nil without order
	behind  int    // deliveries that wait in them
	mark    int
	results results
	closed  bool
}

func newQueue(order Order) *queue {
	q := &queue{changed: make(chan struct{}, 1), low: make(chan struct{}, 1)}
	if order == OrderKey {
		q.chains = chains{}
	}
	q.arrived.L = &q.mu
	return q
}

// push adds the records for the workers. Only the consumer calls it.
func (q *queue) push(records []record) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.makeRoom()
	if q.chains == nil {
		for i := range records {
			q.waiting = append(q.waiting, delivery{record: &records[i], attempt: 1})
		}
	} else {
		for i := range records {
			q.admit(delivery{record: &records[i], attempt: 1})
		}
	}
	q.wake(len(records))
}

// pushDeliveries adds deliveries that were here before, or that have a row of their own.
func (q *queue) pushDeliveries(deliveries []delivery) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.makeRoom()
	for _, d := range deliveries {
		q.admit(d)
	}
	q.wake(len(deliveries))
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

// tryNext is next for those who would rather not wait.
func (q *queue) tryNext() (delivery, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.length() == 0 {
		return delivery{}, false
	}
	return q.pop()
}

// succeed returns a delivery that succeeded, and is next for the rest.
func (q *queue) succeed(d delivery) (delivery, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.succeeded(d)
	return q.pop()
}

// finish is succeed for those who want no other one yet.
func (q *queue) finish(d delivery) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.succeeded(d)
	q.wake(q.length())
}

// committed returns deliveries that succeeded and are marked as done.
func (q *queue) committed(deliveries []delivery) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, d := range deliveries {
		q.results.others = append(q.results.others, result{delivery: d, durable: true})
		q.counted()
		q.follow(d)
	}
	q.wake(q.length())
}

func (q *queue) succeeded(d delivery) {
	if d.retry || q.chains != nil && q.isSpilled(d) {
		q.results.others = append(q.results.others, result{delivery: d})
	} else {
		q.results.done.add(span{d.record.id, d.record.id + 1})
	}
	q.counted()
	if q.chains != nil {
		q.follow(d)
	}
}

// fail returns a delivery that failed.
func (q *queue) fail(d delivery, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.results.others = append(q.results.others, result{delivery: d, err: err})
	q.halt(d)
	q.counted()
}

func (q *queue) counted() {
	if q.results.count++; q.results.count == 1 {
		signal(q.changed)
	}
}

func (q *queue) pop() (delivery, bool) {
	waited := false
	for q.length() == 0 && !q.closed {
		waited = true
		if q.behind > q.mark {
			signal(q.low) // the consumer may find this one something to do
		}
		q.idle++
		q.arrived.Wait()
		q.idle--
	}
	if q.closed {
		return delivery{}, false
	}
	d := q.waiting[q.head]
	d.waited = waited
	q.waiting[q.head] = delivery{} // let go of the page
	q.head++
	if q.length()+q.behind == q.mark {
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
	for i := range r.others {
		if r.others[i].err != nil {
			r.others[i].behind = q.release(r.others[i].delivery)
		}
	}
	return r, q.length()+q.behind > 0
}

// hasRoom says whether at most so many deliveries wait. Where more do, low tells when it is so, or when workers have nothing to do all
// the same.
func (q *queue) hasRoom(mark int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.mark = mark
	return q.length()+q.behind <= mark
}

// close lets the workers go after what they handle now. What waits is forgotten here; its cursor still has it.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.waiting, q.head, q.behind = nil, 0, 0
	clear(q.chains)
	q.arrived.Broadcast()
}

// signal puts a token into a channel of capacity 1, unless one is there.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
