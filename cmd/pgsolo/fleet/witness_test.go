package fleet

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// send makes a call with these headers, one "name: value" each.
func send(t *testing.T, w *Witness, headers ...string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.URL+"/any", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Set(name, value)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

func newTestWitness(t *testing.T, options WitnessOptions) *Witness {
	t.Helper()
	w, err := NewWitness(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

func TestWitnessCounts(t *testing.T) {
	var mu sync.Mutex // guards problems
	var problems []string
	var arrived []Call
	w := newTestWitness(t, WitnessOptions{
		Arrived: func(c Call) { arrived = append(arrived, c) },
		Answer: func(_ *http.Request, c Call) int {
			if c.Event == 0 && c.Attempt == 1 {
				return http.StatusServiceUnavailable
			}
			return http.StatusNoContent
		},
		Problem: func(err error) {
			mu.Lock()
			defer mu.Unlock()
			problems = append(problems, err.Error())
		},
	})
	event := func(id, term string) []string {
		return []string{"Pgsolo-Name: h", "Pgsolo-Attempt: 1", "Pgsolo-Event-Id: " + id, "Pgsolo-Term: " + term}
	}
	tick := []string{
		"Pgsolo-Name: c", "Pgsolo-Attempt: 1", "Pgsolo-Term: 2", "Pgsolo-Catch-Up: true",
		"Pgsolo-Scheduled-At: 2026-01-01T01:00:00+01:00", "Idempotency-Key: c/2026-01-01T00:00:00Z",
	}
	again := slices.Clone(tick)
	again[1], again[3] = "Pgsolo-Attempt: 2", "Pgsolo-Catch-Up: false"
	codes := []int{
		send(t, w, event("1", "1")...), send(t, w, event("1", "2")...), send(t, w, tick...), send(t, w, again...),
		send(t, w, event("2", "1")...), // late
	}
	w.Killing(1)
	codes = append(codes, send(t, w, event("3", "1")...), send(t, w, "Pgsolo-Attempt: 1"))
	if diff := cmp.Diff([]int{204, 204, 503, 204, 204, 204, 200}, codes); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	w.Read(func(got Tally) {
		if diff := cmp.Diff(map[int64]int{1: 2, 2: 1, 3: 1}, got.Events); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		want := map[Attempt]Started{{"c", at, 1}: {[]int64{2}, true}, {"c", at, 2}: {[]int64{2}, false}}
		if diff := cmp.Diff(want, got.Attempts); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(map[time.Time]int{at: 2}, got.Starts()); diff != "" {
			t.Errorf("starts (-want +got):\n%s", diff)
		}
		if len(got.FirstOf) != 2 || !got.FirstOf[1].Before(got.FirstOf[2]) || got.Overlaps != 1 {
			t.Errorf("%+v", got)
		}
		if len(arrived) != 6 || arrived[2].Key != "c/2026-01-01T00:00:00Z" {
			t.Errorf("arrived: %+v", arrived)
		}
	})
	mu.Lock()
	defer mu.Unlock()
	const late = "term 1 works while term 2 has begun"
	if len(problems) != 2 || problems[0] != late || !strings.HasPrefix(problems[1], "term: ") {
		t.Errorf("problems: %q", problems)
	}
}

// A call that is being answered when that of a later term arrives overlaps it, where that is asked for. Close cuts it
// off.
func TestWitnessOfOpenCalls(t *testing.T) {
	for _, countOpen := range []bool{false, true} {
		waiting, cutOff := make(chan struct{}), make(chan struct{})
		w, err := NewWitness(WitnessOptions{CountOpen: countOpen, Answer: func(r *http.Request, c Call) int {
			if c.Term == 1 {
				close(waiting)
				<-r.Context().Done()
				close(cutOff)
			}
			return http.StatusOK
		}})
		if err != nil {
			t.Fatal(err)
		}
		var held sync.WaitGroup
		held.Go(func() {
			request, _ := http.NewRequest(http.MethodPost, w.URL, nil)
			request.Header = http.Header{
				"Pgsolo-Term": {"1"}, "Pgsolo-Attempt": {"1"}, "Pgsolo-Event-Id": {"1"},
			}
			if _, err := http.DefaultClient.Do(request); err == nil {
				t.Error("a call that waits for ever was answered")
			}
		})
		<-waiting
		send(t, w, "Pgsolo-Term: 2", "Pgsolo-Attempt: 1", "Pgsolo-Event-Id: 2")
		w.Read(func(got Tally) {
			if want := map[bool]int{true: 1}[countOpen]; got.Overlaps != want {
				t.Errorf("counted: %v, %d overlaps, want %d", countOpen, got.Overlaps, want)
			}
		})
		w.Close()
		select {
		case <-cutOff:
		default:
			t.Error("a call is being answered after Close")
		}
		held.Wait()
	}
}
