package eventlog

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/loop"
)

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
				if stats := h.counters.stats("h"); stats.Handled != 2 || stats.Failed != 2 {
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
