package eventlog

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgsolo/pgsolo/jobs/internal/logread"
)

// Whether an attempt follows another one at once or is waited for, it has its whole time.
func TestTimeOfAnAttemptThatWasWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var left []time.Duration
		c := idleConsumer(t, Handler{Name: "h", Timeout: time.Minute, Handle: func(ctx context.Context, e Event) error {
			deadline, _ := ctx.Deadline()
			left = append(left, time.Until(deadline))
			<-time.After(time.Second)
			if e.ID == 2 {
				return errors.New("fails")
			}
			return nil
		}}, nil)
		var workers sync.WaitGroup
		c.startWorker(t.Context(), t.Context(), &workers)
		bad := []byte("no JSON") // is no attempt
		for _, records := range [][]logread.Record{{{ID: 1}, {ID: 2}, {ID: 3}}, {{ID: 4}},
			{{ID: 5, Headers: bad}, {ID: 6}, {ID: 7}}} {
			<-time.After(time.Hour)
			c.queue.Push(records)
		}
		<-time.After(time.Hour)
		c.queue.Close()
		workers.Wait()
		if diff := cmp.Diff(slices.Repeat([]time.Duration{time.Minute}, 6), left); diff != "" {
			t.Errorf("time left at the start -want +got\n%s", diff)
		}
		if took := c.counters.Duration.Seconds(); took.Count != 6 || took.Sum != 6 {
			t.Errorf("durations %+v, want six of a second", took)
		}
	})
}
