package eventlog

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/logread"
)

// An attempt that follows another at once spares a look at the clock; one that had to be waited for has its time all the same.
func TestTimeOfAnAttemptThatWasWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var left []time.Duration
		c := newConsumer(Handler{Name: "h", Timeout: time.Minute, Handle: func(ctx context.Context, e Event) error {
			deadline, _ := ctx.Deadline()
			left = append(left, time.Until(deadline))
			<-time.After(time.Second)
			if e.ID == 2 {
				return errors.New("fails")
			}
			return nil
		}}, logread.NewLog(logread.Reader{}, new(atomic.Int64)), hclog.NewNullLogger())
		c.begin(jobs.Lead{})
		var workers sync.WaitGroup
		workers.Go(func() { c.work(t.Context(), t.Context(), &workers) })
		bad := []byte("no JSON") // is no attempt
		for _, records := range [][]logread.Record{{{ID: 1}, {ID: 2}, {ID: 3}}, {{ID: 4}}, {{ID: 5, Headers: bad}, {ID: 6}, {ID: 7}}} {
			<-time.After(time.Hour)
			c.queue.Push(records)
		}
		<-time.After(time.Hour)
		c.queue.Close()
		workers.Wait()
		if diff := cmp.Diff(slices.Repeat([]time.Duration{time.Minute}, 6), left); diff != "" {
			t.Errorf("time left at the start -want +got\n%s", diff)
		}
		if took := c.counters.duration.Seconds(); took.Count != 6 || took.Sum != 6 {
			t.Errorf("durations %+v, want six of a second", took)
		}
	})
}
