package jobs

import "sync"

// delivery is one event on its way to the handler. retry: it failed before and has a row of its own in delivery.
type delivery struct {
	event Event
	retry bool
}

// result is a delivery after its attempt.
type result struct {
	delivery
	err error
}

// queue hands deliveries from the consumer to its workers and their results back. Between the two it holds one lock, so that a
// worker's step from one event to the next costs one critical section and no channel.
type queue struct {
	// changed receives, without ever blocking the sender, after a result was put where there was none.
	changed chan struct{}

	mu      sync.Mutex // guards all below
	arrived sync.Cond  // signalled when waiting grows, broadcast when closed is set
	waiting []delivery
	results []result
	closed  bool
}

func newQueue() *queue {
	q := &queue{changed: make(chan struct{}, 1)}
	q.arrived.L = &q.mu
	return q
}

// push adds deliveries for the workers. Only the consumer calls it.
func (q *queue) push(deliveries []delivery) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, deliveries...)
	q.arrived.Broadcast()
}

// next blocks until there is a delivery to work on, and returns false once the queue is closed.
func (q *queue) next() (delivery, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.waiting) == 0 && !q.closed {
		q.arrived.Wait()
	}
	if q.closed {
		return delivery{}, false
	}
	d := q.waiting[0]
	q.waiting[0] = delivery{} // let go of the payload
	q.waiting = q.waiting[1:]
	return d, true
}

// finish returns a delivery with its outcome.
func (q *queue) finish(r result) {
	q.mu.Lock()
	q.results = append(q.results, r)
	first := len(q.results) == 1
	q.mu.Unlock()
	if first {
		select {
		case q.changed <- struct{}{}:
		default:
		}
	}
}

// take returns the results since the last call.
func (q *queue) take() []result {
	q.mu.Lock()
	defer q.mu.Unlock()
	results := q.results
	q.results = nil
	return results
}

// length returns how many deliveries wait.
func (q *queue) length() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// close lets the workers go after what they handle now. What waits is forgotten here; its cursor still has it.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.waiting = nil
	q.arrived.Broadcast()
}
