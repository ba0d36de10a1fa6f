package fleet

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// WitnessOptions are all optional.
type WitnessOptions struct {
	// Arrived gets each call, one at a time, before the call is answered. It must not wait, and must not ask the
	// witness.
	Arrived func(Call)

	// Answer returns the status of a call. It may wait as long as the request's context lasts. Default: 200 at once.
	Answer func(*http.Request, Call) int

	// Problem gets each call that is no webhook's or that overlaps a later term. Other calls may go on meanwhile.
	Problem func(error)

	// CountOpen makes a call an overlap too if one of an earlier term is still being answered, as that of a leader that
	// is frozen would be.
	CountOpen bool
}

// Witness is the target of replicas' webhooks, in this process.
type Witness struct {
	URL string // of any path

	options WitnessOptions
	server  http.Server
	served  chan struct{}  // closed when the server has ended
	calls   sync.WaitGroup // being answered

	mu     sync.Mutex // guards all below
	closed bool
	terms  terms
	tally  Tally
}

// NewWitness begins to answer. The caller closes the witness.
func NewWitness(options WitnessOptions) (*Witness, error) {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start witness: %w", err)
	}
	w := &Witness{
		URL: "http://" + socket.Addr().String(), options: options, served: make(chan struct{}),
		terms: terms{killed: map[int64]bool{}, open: map[int64]int{}}, tally: newTally(),
	}
	w.server = http.Server{Handler: w, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		defer close(w.served)
		_ = w.server.Serve(socket) // ends with Close
	}()
	return w, nil
}

// ServeHTTP takes in a call.
func (w *Witness) ServeHTTP(response http.ResponseWriter, r *http.Request) {
	c, err := readCall(r)
	if !w.enter() {
		return
	}
	defer w.calls.Done()
	if err != nil {
		w.problem(err)
		return
	}
	w.begin(c)
	defer w.end(c)
	_, _ = io.Copy(io.Discard, r.Body)
	if w.options.Answer != nil {
		response.WriteHeader(w.options.Answer(r, c))
	}
}

// enter returns false if the witness has been closed. Close waits for those that have entered: the lock is what keeps
// calls.Add from coming after calls.Wait.
func (w *Witness) enter() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	w.calls.Add(1)
	return true
}

func (w *Witness) begin(c Call) {
	w.mu.Lock()
	w.tally.add(c)
	overlaps := w.terms.begin(c.Term, w.options.CountOpen)
	w.tally.Overlaps += len(overlaps)
	if w.options.Arrived != nil {
		w.options.Arrived(c)
	}
	w.mu.Unlock()
	for _, err := range overlaps {
		w.problem(err)
	}
}

func (w *Witness) end(c Call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.terms.open[c.Term]--
}

func (w *Witness) problem(err error) {
	if w.options.Problem != nil {
		w.options.Problem(err)
	}
}

// Killing is to be called before the leader of a term is killed.
func (w *Witness) Killing(term int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.terms.killed[term] = true
}

// Read shows what has arrived to see, which may keep nothing of it. Calls wait meanwhile.
func (w *Witness) Read(see func(Tally)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	see(w.tally)
}

// Close cuts off the calls that are being answered, and returns when nothing is called any more.
func (w *Witness) Close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.server.Close()
	<-w.served
	w.calls.Wait()
}
