package demo

import (
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// witness counts what the replicas do, as the target of their webhooks.
type witness struct {
	url    string
	server http.Server

	mu       sync.Mutex          // guards all below
	events   map[int64]int       // arrivals by event id
	ticks    map[time.Time]int   // arrivals by scheduled time
	inFlight map[int64]int       // requests being answered, by term
	killed   map[int64]bool      // terms whose leader was killed: what it had sent may still arrive
	firstOf  map[int64]time.Time // first event of each term
	highest  int64               // term seen
	overlaps int
}

func newWitness() (*witness, error) {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &witness{
		url:    "http://" + socket.Addr().String(),
		events: map[int64]int{}, ticks: map[time.Time]int{}, inFlight: map[int64]int{}, killed: map[int64]bool{},
		firstOf: map[int64]time.Time{},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /event", w.event)
	mux.HandleFunc("POST /tick", w.tick)
	w.server = http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = w.server.Serve(socket) }() // ends with close
	return w, nil
}

func (w *witness) close() { w.server.Close() }

func (w *witness) event(_ http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseInt(r.Header.Get("Pgsolo-Event-Id"), 10, 64)
	if err != nil {
		return
	}
	w.attend(r, func(term int64) {
		w.events[id]++
		if _, ok := w.firstOf[term]; !ok {
			w.firstOf[term] = time.Now()
		}
	})
}

func (w *witness) tick(_ http.ResponseWriter, r *http.Request) {
	at, err := time.Parse(time.RFC3339, r.Header.Get("Pgsolo-Scheduled-At"))
	if err != nil {
		return
	}
	w.attend(r, func(int64) { w.ticks[at.UTC()]++ })
}

// attend notes a request, and an overlap if its term is over, or if an older term still has a request open. A leader that was
// killed does not count: what it sent before may be read after.
func (w *witness) attend(r *http.Request, note func(term int64)) {
	term, err := strconv.ParseInt(r.Header.Get("Pgsolo-Term"), 10, 64)
	if err != nil {
		return
	}
	w.mu.Lock()
	if term < w.highest && !w.killed[term] {
		w.overlaps++
	}
	for older, n := range w.inFlight {
		if older < term && n > 0 && !w.killed[older] {
			w.overlaps++
		}
	}
	w.highest = max(w.highest, term)
	w.inFlight[term]++
	note(term)
	w.mu.Unlock()

	_, _ = io.Copy(io.Discard, r.Body)

	w.mu.Lock()
	w.inFlight[term]--
	w.mu.Unlock()
}

// killing says that the leader of a term is about to be killed.
func (w *witness) killing(term int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.killed[term] = true
}

// sight is what the witness has seen.
type sight struct {
	handled, repeated int // events, and arrivals beyond the first
	ticks, doubled    int // ticks that arrived, and those that arrived more than once
	overlaps          int
}

func (w *witness) look() sight {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := sight{handled: len(w.events), ticks: len(w.ticks), overlaps: w.overlaps}
	for _, n := range w.events {
		s.repeated += n - 1
	}
	for _, n := range w.ticks {
		if n > 1 {
			s.doubled++
		}
	}
	return s
}

// missedTicks counts the seconds, from the first tick that arrived up to a moment, whose tick did not, apart from those that a
// kill cut off: they were started, and are not started again.
func (w *witness) missedTicks(cutOff []time.Time, until time.Time) (missed int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var first, last time.Time
	for at := range w.ticks {
		if first.IsZero() || at.Before(first) {
			first = at
		}
		if at.After(last) {
			last = at
		}
	}
	if last.Before(until) {
		until = last // the demo may have ended before the next one
	}
	if first.IsZero() {
		return 0
	}
	for at := first; !at.After(until); at = at.Add(time.Second) {
		if w.ticks[at] == 0 && !slices.ContainsFunc(cutOff, at.Equal) {
			missed++
		}
	}
	return missed
}

// missing counts the events that have not arrived.
func (w *witness) missing(ids []int64) (missing int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		if w.events[id] == 0 {
			missing++
		}
	}
	return missing
}

// firstEvent returns when a term's first event arrived; ok is false before that.
func (w *witness) firstEvent(term int64) (at time.Time, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at, ok = w.firstOf[term]
	return at, ok
}
