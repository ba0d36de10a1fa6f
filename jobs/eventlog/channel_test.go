package eventlog

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/loop"
)

func TestChannel(t *testing.T) {
	pool := jobstest.Pool(t)
	got := make(chan Event, 1)
	l := lead(t, pool, 3,
		Handler{Name: "h", Channel: "Cache Invalidate", Handle: func(_ context.Context, e Event) error {
			select {
			case got <- e:
			default: // one is enough
			}
			return errors.New("no retry of a plain message")
		}})
	pgtest.Eventually(t, "LISTEN", func() bool { // a NOTIFY before that is lost
		if _, err := pool.Exec(t.Context(), `select pg_notify('Cache Invalidate', 'not json')`); err != nil {
			t.Fatal(err)
		}
		return len(got) > 0
	})
	e := pgtest.Within(t, "message", got)
	if e.Channel != "Cache Invalidate" || string(e.Payload) != "not json" || e.Term != 3 || e.IdempotencyKey() != "" {
		t.Errorf("got %+v", e)
	}
	l.quit()
}

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
	pgtest.Eventually(t, "LISTEN", func() bool { // a NOTIFY before that is lost
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
	pgtest.Eventually(t, "the last message", func() bool { return counters.Failed.Load() == 2 })
	l.quit()
	if handled, filtered := counters.Handled.Load(), counters.Filtered.Load(); handled != 1 ||
		filtered != asked.Load()-4 {
		t.Errorf("%d handled and %d filtered of %d, want 1, and all but 4", handled, filtered, asked.Load())
	}
}

// A function that ends its goroutine fails its message, and takes no worker with it.
func TestChannelHandlerThatEndsItsGoroutine(t *testing.T) {
	for name, of := range map[string]func(h *Handler, exit func(Event)){
		"Handle": func(h *Handler, exit func(Event)) {
			h.Handle = func(_ context.Context, e Event) error { exit(e); return nil }
		},
		"When": func(h *Handler, exit func(Event)) {
			h.When = func(e Event) (bool, error) { exit(e); return true, nil }
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &channelHandler{executor{logger: hclog.NewNullLogger(), Handler: Handler{
					Name: "h", Channel: "c", Concurrency: 1, Timeout: time.Minute,
					Handle: func(context.Context, Event) error { return nil },
				}}}
				of(&h.Handler, func(e Event) {
					if string(e.Payload) == "exit" {
						runtime.Goexit()
					}
				})
				messages, stop, ended := make(chan string, 10), make(chan struct{}), make(chan error, 1)
				lead, end := loop.Lead(t.Context(), 1, "", stop, nil)
				defer end()
				for _, payload := range []string{"good", "exit", "exit", "good"} {
					messages <- payload
				}
				subscription := jobs.Subscription{Messages: messages, Close: func() {}}
				go func() { ended <- h.run(t.Context(), lead, subscription) }()
				synctest.Wait()
				if stats := statsOf("h", &h.counters); stats.Handled != 2 || stats.Failed != 2 {
					t.Errorf("%d handled and %d failed, want 2 and 2", stats.Handled, stats.Failed)
				}
				close(stop)
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A handler of a channel that begins nothing more, since the leadership is not held any more, has no failure of its own
// to report: it waits for the end of the leadership.
func TestChannelWithoutLeadership(t *testing.T) {
	for name, of := range map[string]Handler{
		"before an attempt": {},
		"behind a rate":     {Rate: jobs.Rate{Events: 1, Per: time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				of.Name, of.Channel, of.Concurrency, of.Timeout = "h", "c", 2, time.Minute
				of.Handle = func(context.Context, Event) error { return nil }
				h := &channelHandler{executor{logger: hclog.NewNullLogger(), Handler: of}}
				messages, ended := make(chan string, 10), make(chan error, 1)
				ctx, lost := context.WithCancel(t.Context())
				var held atomic.Bool
				lead, end := loop.Lead(ctx, 1, "", nil, held.Load)
				defer end()
				held.Store(true)
				go func() { ended <- h.run(ctx, lead, jobs.Subscription{Messages: messages, Close: func() {}}) }()
				messages <- "handled"
				synctest.Wait()
				held.Store(false)
				messages <- "not handled"
				messages <- "not handled"
				select {
				case err := <-ended:
					t.Fatalf("it ended before its leadership: %v", err)
				case <-time.After(time.Minute):
				}
				lost()
				if err := <-ended; err != nil {
					t.Error(err)
				}
				if n := h.counters.Handled.Load(); n != 1 {
					t.Errorf("%d messages handled, want 1", n)
				}
			})
		})
	}
}
