package eventlog

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/jobstest"
)

// A channel's handler gets the messages that it wants, at its rate. A planned stop waits for no rate.
func TestChannelFilterAndRate(t *testing.T) {
	pool := jobstest.Pool(t)
	var asked, ready atomic.Int64
	l := lead(t, pool, 1, Handler{
		Name: "h", Channel: "c", Concurrency: 2, Rate: jobs.Rate{Events: 1, Per: time.Hour},
		When: func(e Event) (bool, error) {
			asked.Add(1)
			switch string(e.Payload) {
			case "bad":
				return false, errors.New("not a message")
			case "ready":
				ready.Add(1)
			}
			return string(e.Payload) == "wanted", nil
		},
		Handle: func(context.Context, Event) error { return nil },
	})
	pgtest.Eventually(t, "LISTEN", func() bool { // a NOTIFY before that is nobody's
		jobstest.MustExec(t, pool, `select pg_notify('c', 'other')`)
		return asked.Load() > 0
	})
	pgtest.Eventually(t, "the buffer to have room", func() bool { // which those before that have filled, if it was slow
		jobstest.MustExec(t, pool, `select pg_notify('c', 'ready')`)
		return ready.Load() > 0
	})
	for _, message := range []string{"bad", "wanted", "wanted", "bad"} {
		jobstest.MustExec(t, pool, `select pg_notify('c', $1)`, message)
	}
	counters := &l.runner.channels[0].counters
	pgtest.Eventually(t, "the last message", func() bool { return counters.failed.Load() == 2 })
	l.quit()
	if handled, filtered := counters.handled.Load(), counters.filtered.Load(); handled != 1 ||
		filtered != asked.Load()-4 {
		t.Errorf("%d handled and %d filtered of %d, want 1, and all but 4", handled, filtered, asked.Load())
	}
}
