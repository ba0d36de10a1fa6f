package jobs

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// channelHandler hands the payloads of a plain NOTIFY channel to a handler: at most once, each attempted once.
type channelHandler struct {
	Handler
	logger   hclog.Logger
	term     int64
	held     func() bool // asked before each attempt
	counters handlerCounters
	episodes episodes
}

// run handles until stop is closed (then it waits for the attempts under way), until ctx is done (then it cancels them), or
// until the subscription ends.
func (h *channelHandler) run(ctx context.Context, stop <-chan struct{}, subscription Subscription) error {
	defer subscription.Close()
	var workers sync.WaitGroup
	for range h.Concurrency {
		workers.Go(func() { h.work(ctx, stop, subscription) })
	}
	workers.Wait()
	if ctx.Err() != nil || isClosed(stop) {
		return nil
	}
	return fmt.Errorf("handler %q: channel %q has no LISTEN session any more", h.Name, h.Channel)
}

func (h *channelHandler) work(ctx context.Context, stop <-chan struct{}, subscription Subscription) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-stop:
			return
		case <-subscription.Missed:
			h.episodes.missed.log(h.logger, hclog.Warn, "messages may have been missed: a plain channel has no copy of them", "channel", h.Channel)
		case payload, ok := <-subscription.Messages:
			if !ok || isClosed(stop) || h.held != nil && !h.held() {
				return
			}
			h.handle(ctx, payload)
		}
	}
}

func (h *channelHandler) handle(ctx context.Context, payload string) {
	event := Event{
		Handler: h.Name, Channel: h.Channel, Payload: []byte(payload), CreatedAt: time.Now(), Attempt: 1, Term: h.term,
	}
	if err, stopped := h.counters.attempt(newAttempts(ctx, h.Timeout), h.Handle, event, h.logger, &h.episodes); err != nil && !stopped {
		h.episodes.failed.log(h.logger, hclog.Warn, "message not handled, and not retried", "channel", h.Channel, "error", errorText(err))
	}
}
