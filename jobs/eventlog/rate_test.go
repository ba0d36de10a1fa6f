package eventlog

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/loop"
)

// What When does not want takes no turn, and what waits for one is not in flight.
func TestChannelHandlerHasRateAndWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var starts []time.Duration
		begun := time.Now()
		h := &channelHandler{executor{logger: hclog.NewNullLogger(), Handler: Handler{
			Name: "h", Channel: "c", Concurrency: 1, Timeout: time.Minute, Rate: jobs.Rate{Events: 1, Per: time.Second},
			When: func(e Event) (bool, error) {
				if string(e.Payload) == "bad" {
					panic("boom")
				}
				return string(e.Payload) == "good", nil
			},
			Handle: func(context.Context, Event) error {
				starts = append(starts, time.Since(begun))
				return nil
			},
		}}}
		messages, stop, ended := make(chan string, 10), make(chan struct{}), make(chan error)
		lead, end := loop.Lead(t.Context(), 1, "", stop, nil)
		defer end()
		for _, payload := range []string{"good", "other", "bad", "good", "other", "good", "good"} {
			messages <- payload
		}
		go func() { ended <- h.run(t.Context(), lead, jobs.Subscription{Messages: messages, Close: func() {}}) }()
		<-time.After(2500 * time.Millisecond)
		synctest.Wait()
		if n := h.counters.InFlight.Load(); n != 0 {
			t.Errorf("%d in flight while the last one waits for its turn", n)
		}
		close(stop)
		if err := <-ended; err != nil || time.Since(begun) != 2500*time.Millisecond {
			t.Errorf("ended with %v after %s", err, time.Since(begun))
		}
		if diff := cmp.Diff([]time.Duration{0, time.Second, 2 * time.Second}, starts); diff != "" {
			t.Errorf("starts -want +got\n%s", diff)
		}
		stats := statsOf("h", &h.counters)
		if got, want := []int64{stats.Handled, stats.Failed, h.counters.Filtered.Load()},
			[]int64{3, 1, 2}; !slices.Equal(got, want) {
			t.Errorf("handled, failed, filtered: %v, want %v", got, want)
		}
	})
}

func TestRateOfAHandler(t *testing.T) {
	pool := jobstest.Pool(t)
	handler, events := recorder("h", "t")
	handler.Concurrency, handler.Rate = 3, jobs.Rate{Events: 1, Per: time.Hour}
	l := lead(t, pool, 1, handler)
	for range 5 {
		jobstest.Emit(t, pool, "t", `1`)
	}
	first := pgtest.Within(t, "the first event", events) // of those with the workers, any may take the turn
	want := fmt.Sprintf("{[%d,%d)}", first.ID, first.ID+1)
	pgtest.Eventually(t, "the first one to be written while the others wait", func() bool {
		return pgtest.Value[string](t, pool, `select done::text from pgsolo.cursor`) == want
	})
	if n := l.runner.handlers[0].counters.InFlight.Load(); n != 0 {
		t.Errorf("%d in flight, want 0", n)
	}
	l.quit()
	if len(events) != 0 {
		t.Error("more than one event in an hour")
	}
}
