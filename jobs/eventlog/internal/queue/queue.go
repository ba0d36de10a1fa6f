package queue

import (
	"sync"

	"github.com/pgsolo/pgsolo/jobs/internal/idset"
	"github.com/pgsolo/pgsolo/jobs/internal/logread"
	"github.com/pgsolo/pgsolo/jobs/internal/loop"
)

// Delivery is one record on its way to the handler. retry: it failed before and has a row of its own in delivery.
type Delivery struct {
	Record  *logread.Record
	Attempt int
	Retry   bool
	Waited  bool // a worker did, for this one to come
}

// Result is a delivery after its attempt.
type Result struct {
	Delivery
	Err     error
	Behind  []Delivery // those of its key that waited behind one that failed
	Durable bool       // it has succeeded, and that is written
}

// Results are what the workers achieved since they were last taken.
type Results struct {
	Done   idset.Set // first attempts that succeeded, except those of spilled keys
	Others []Result  // all else
	Count  int
}

// Queue hands deliveries from the consumer to its workers and their results back. Both happen in one critical section, so that a
// worker's step from one event to the next costs one lock and no channel. A worker has never more than the event in its hands:
// whatever waits is there for any other one, and whatever is done can be written down, however long an attempt takes.
type Queue struct {
	// changed receives, without ever blocking the sender, after a result was put where there was none; low, when as little waits
	// as hasRoom was asked for, or chains alone.
	Changed, Low chan struct{}

	Mu      sync.Mutex // guards all below
	arrived sync.Cond  // signalled when waiting grows, broadcast when closed is set
	idle    int        // workers that wait for it
	waiting []Delivery // from head on, ready for any worker
	head    int
	Chains  chains // nil without order
	Behind  int    // deliveries that wait in them
	mark    int
	results Results
	Closed  bool
}

// New makes a queue that keeps the order of each key where ordered says so.
func New(ordered bool) *Queue {
	q := &Queue{Changed: make(chan struct{}, 1), Low: make(chan struct{}, 1)}
	if ordered {
		q.Chains = chains{}
	}
	q.arrived.L = &q.Mu
	return q
}

// Push adds the records for the workers. Only the consumer calls it.
func (q *Queue) Push(records []logread.Record) {
	q.Mu.Lock()
	defer q.Mu.Unlock()
	q.makeRoom()
	if q.Chains == nil {
		for i := range records {
			q.waiting = append(q.waiting, Delivery{Record: &records[i], Attempt: 1})
		}
	} else {
		for i := range records {
			q.admit(Delivery{Record: &records[i], Attempt: 1})
		}
	}
	q.wake(len(records))
}

// PushDeliveries adds deliveries that were here before, or that have a row of their own.
func (q *Queue) PushDeliveries(deliveries []Delivery) {
	q.Mu.Lock()
	defer q.Mu.Unlock()
	q.makeRoom()
	for _, d := range deliveries {
		q.admit(d)
	}
	q.wake(len(deliveries))
}

// makeRoom moves what waits to the front, so that the same memory serves for ever.
func (q *Queue) makeRoom() {
	n := copy(q.waiting, q.waiting[q.head:])
	clear(q.waiting[n:])
	q.waiting, q.head = q.waiting[:n], 0
}

func (q *Queue) wake(n int) {
	for range min(n, q.idle) {
		q.arrived.Signal()
	}
}

// Next blocks until there is a delivery to work on, and returns false once the queue is closed.
func (q *Queue) Next() (Delivery, bool) {
	q.Mu.Lock()
	defer q.Mu.Unlock()
	return q.pop()
}

// TryNext is next for those who would rather not wait.
func (q *Queue) TryNext() (Delivery, bool) {
	q.Mu.Lock()
	defer q.Mu.Unlock()
	if q.Length() == 0 {
		return Delivery{}, false
	}
	return q.pop()
}

// Succeed returns a delivery that succeeded, and is next for the rest.
func (q *Queue) Succeed(d Delivery) (Delivery, bool) {
	q.Mu.Lock()
	defer q.Mu.Unlock()
	q.succeeded(d)
	return q.pop()
}

// Finish is succeed for those who want no other one yet.
func (q *Queue) Finish(d Delivery) {
	q.Mu.Lock()
	defer q.Mu.Unlock()
	q.succeeded(d)
	q.wake(q.Length())
}

// Committed returns deliveries that succeeded and are marked as done.
func (q *Queue) Committed(deliveries []Delivery) {
	q.Mu.Lock()
	defer q.Mu.Unlock()
	for _, d := range deliveries {
		q.results.Others = append(q.results.Others, Result{Delivery: d, Durable: true})
		q.counted()
		q.follow(d)
	}
	q.wake(q.Length())
}

func (q *Queue) succeeded(d Delivery) {
	if d.Retry || q.Chains != nil && q.isSpilled(d) {
		q.results.Others = append(q.results.Others, Result{Delivery: d})
	} else {
		q.results.Done.Add(idset.One(d.Record.ID))
	}
	q.counted()
	if q.Chains != nil {
		q.follow(d)
	}
}

// Fail returns a delivery that failed.
func (q *Queue) Fail(d Delivery, err error) {
	q.Mu.Lock()
	defer q.Mu.Unlock()
	q.results.Others = append(q.results.Others, Result{Delivery: d, Err: err})
	q.halt(d)
	q.counted()
}

func (q *Queue) counted() {
	if q.results.Count++; q.results.Count == 1 {
		loop.Signal(q.Changed)
	}
}

func (q *Queue) pop() (Delivery, bool) {
	waited := false
	for q.Length() == 0 && !q.Closed {
		waited = true
		if q.Behind > q.mark {
			loop.Signal(q.Low) // the consumer may find this one something to do
		}
		q.idle++
		q.arrived.Wait()
		q.idle--
	}
	if q.Closed {
		return Delivery{}, false
	}
	d := q.waiting[q.head]
	d.Waited = waited
	q.waiting[q.head] = Delivery{} // let go of the page
	q.head++
	if q.Length()+q.Behind == q.mark {
		loop.Signal(q.Low)
	}
	return d, true
}

func (q *Queue) Length() int { return len(q.waiting) - q.head }

// Size is how many deliveries no worker has begun.
func (q *Queue) Size() int {
	q.Mu.Lock()
	defer q.Mu.Unlock()
	return q.Length() + q.Behind
}

// Take exchanges the results since the last call for the memory of earlier ones, and says whether anything waits.
func (q *Queue) Take(used Results) (r Results, more bool) {
	q.Mu.Lock()
	defer q.Mu.Unlock()
	r = q.results
	clear(used.Others)
	q.results = Results{Done: used.Done[:0], Others: used.Others[:0]}
	for i := range r.Others {
		if r.Others[i].Err != nil {
			r.Others[i].Behind = q.release(r.Others[i].Delivery)
		}
	}
	return r, q.Length()+q.Behind > 0
}

// HasRoom says whether at most so many deliveries wait. Where more do, low tells when it is so, or when workers have nothing to do all
// the same.
func (q *Queue) HasRoom(mark int) bool {
	q.Mu.Lock()
	defer q.Mu.Unlock()
	q.mark = mark
	return q.Length()+q.Behind <= mark
}

// Close lets the workers go after what they handle now. What waits is forgotten here; its cursor still has it.
func (q *Queue) Close() {
	q.Mu.Lock()
	defer q.Mu.Unlock()
	q.Closed = true
	q.waiting, q.head, q.Behind = nil, 0, 0
	clear(q.Chains)
	q.arrived.Broadcast()
}
