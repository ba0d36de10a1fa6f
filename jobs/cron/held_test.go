package cron

import (
	"context"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/jobs"
)

// A leader that can no longer prove itself starts nothing: neither before the row is written, nor if it lost its proof
// meanwhile.
func TestStartsNothingUnlessHeld(t *testing.T) {
	for name, answers := range map[string][]bool{"before the row": {false}, "after the row": {true, false}} {
		t.Run(name, func(t *testing.T) {
			run, ran := collecting()
			c := setupCron(t, run).seen()
			all, err := New(Options{Pool: c.pool, Schema: jobs.DefaultSchema, Group: "main", Jobs: []Job{c.cron}})
			if err != nil {
				t.Fatal(err)
			}
			all.now = func() time.Time { return c.epoch.Add(time.Minute) } // a tick is due
			all.serverNow = func(context.Context) (time.Time, error) { return all.now(), nil }
			stop, asked := make(chan struct{}), 0
			held := func() bool {
				asked++
				if asked == len(answers) {
					close(stop)
				}
				return answers[min(asked, len(answers))-1]
			}
			if err := all.Run(t.Context(), jobs.Lead{Number: 1, Stopping: stop, Held: held}); err != nil {
				t.Error(err)
			}
			if len(ran) > 0 {
				t.Error("the tick has started")
			}
			want := []runRow{{time.Minute, "running", ""}} // which is the next leader's
			if name == "before the row" {
				want = nil
			}
			c.wantRuns(want...)
		})
	}
}
