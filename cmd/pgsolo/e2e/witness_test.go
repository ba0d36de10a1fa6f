package e2e

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"
)

// attempt is one start of a cron job.
type attempt struct {
	job    string
	at     string // its scheduled time, in UTC
	number int
}

// cronWitness is what cron jobs call. It writes down who called, and fails the test when a term works after a later one has begun.
type cronWitness struct {
	t      *testing.T
	url    string
	answer func(*http.Request, attempt) int // the status; may block until the request's context ends

	mu      sync.Mutex // guards all below
	terms   map[attempt][]int64
	catchUp map[attempt]bool
	highest int64          // term heard of
	killed  map[int64]bool // terms whose leader is dead: what it had sent may be read late
}

func startCronWitness(t *testing.T, answer func(*http.Request, attempt) int) *cronWitness {
	w := &cronWitness{t: t, answer: answer, terms: map[attempt][]int64{}, catchUp: map[attempt]bool{}, killed: map[int64]bool{}}
	server := httptest.NewServer(w)
	t.Cleanup(func() {
		server.CloseClientConnections() // of requests that are held still
		server.Close()
	})
	w.url = server.URL
	return w
}

func (w *cronWitness) ServeHTTP(response http.ResponseWriter, r *http.Request) {
	a := attempt{job: r.Header.Get("Pgsolo-Name"), at: inUTC(w.t, r.Header.Get("Pgsolo-Scheduled-At"))}
	a.number, _ = strconv.Atoi(r.Header.Get("Pgsolo-Attempt"))
	term, err := strconv.ParseInt(r.Header.Get("Pgsolo-Term"), 10, 64)
	if err != nil {
		w.t.Errorf("term: %v", err)
	}
	if got, want := r.Header.Get("Idempotency-Key"), a.job+"/"+a.at; got != want {
		w.t.Errorf("idempotency key %q, want %q", got, want)
	}
	w.mu.Lock()
	w.terms[a] = append(w.terms[a], term)
	w.catchUp[a] = r.Header.Get("Pgsolo-Catch-Up") == "true"
	if term < w.highest && !w.killed[term] {
		w.t.Errorf("term %d starts %v while term %d has begun", term, a, w.highest)
	}
	w.highest = max(w.highest, term)
	w.mu.Unlock()
	response.WriteHeader(w.answer(r, a))
}

// kill is to be called before the leader of a term is killed.
func (w *cronWitness) kill(term int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.killed[term] = true
}

func (w *cronWitness) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.terms)
}

// arrived returns the terms in which an attempt was started, and whether it was told that its tick is made up for.
func (w *cronWitness) arrived(a attempt) (terms []int64, catchUp bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.terms[a], w.catchUp[a]
}

func inUTC(t *testing.T, text string) string {
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Errorf("scheduled time: %v", err)
	}
	return at.UTC().Format(time.RFC3339Nano)
}

// gate holds requests until it is opened.
type gate struct {
	waiting chan attempt
	open    chan struct{}
}

func newGate() *gate { return &gate{make(chan attempt, 100), make(chan struct{})} }

func (g *gate) pass(r *http.Request, a attempt) {
	g.waiting <- a
	select {
	case <-g.open:
	case <-r.Context().Done(): // the client is gone
	}
}
