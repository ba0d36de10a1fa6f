package eventlog

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/gate"
	"github.com/pgsolo/pgsolo/jobs/internal/attempt"
	"github.com/pgsolo/pgsolo/jobs/internal/loop"
	"github.com/pgsolo/pgsolo/jobs/internal/text"
)

// channelHandler hands the payloads of a plain NOTIFY channel to a handler: at most once, each attempted once.
type channelHandler struct {
	Handler
	logger   hclog.Logger
	term     int64
	held     func() bool // asked before each attempt
	pacer    *gate.Pacer // nil: as fast as they come
	counters handlerCounters
	episodes episodes
}

// run handles until stop is closed (then it waits for the attempts under way), until ctx is done (then it cancels them), or
// until the subscription ends.
func (h *channelHandler) run(ctx context.Context, stop <-chan struct{}, subscription jobs.Subscription) error {
	defer subscription.Close()
	if h.Rate.Events > 0 {
		h.pacer = gate.NewPacer(h.Rate)
	}
	var workers sync.WaitGroup
	for range h.Concurrency {
		workers.Go(func() { h.work(ctx, stop, subscription) })
	}
	workers.Wait()
	if ctx.Err() != nil || loop.IsClosed(stop) {
		return nil
	}
	return fmt.Errorf("handler %q: channel %q has no LISTEN session any more", h.Name, h.Channel)
}

func (h *channelHandler) work(ctx context.Context, stop <-chan struct{}, subscription jobs.Subscription) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-stop:
			return
		case <-subscription.Missed:
			h.episodes.missed.Log(h.logger, hclog.Warn, "messages may have been missed: a plain channel has no copy of them", "channel", h.Channel)
		case payload, ok := <-subscription.Messages:
			if !ok || loop.IsClosed(stop) || !h.handle(ctx, stop, payload) {
				return
			}
		}
	}
}

// handle returns false when nothing more is to be handled. Messages that wait for their turn by Rate do so in the subscription, which drops
// what it cannot hold.
func (h *channelHandler) handle(ctx context.Context, stop <-chan struct{}, payload string) (more bool) {
	event := Event{
		Handler: h.Name, Channel: h.Channel, Payload: []byte(payload), CreatedAt: time.Now(), Attempt: 1, Term: h.term,
	}
	if h.When != nil {
		wanted, err := h.filter(event)
		switch {
		case err != nil:
			h.counters.logPanic(err, event, h.logger, &h.episodes)
			h.failed(err)
			return true
		case !wanted:
			h.counters.filtered.Add(1)
			return true
		}
	}
	if h.pacer != nil && !h.pacer.Pass(ctx, stop) || h.held != nil && !h.held() {
		return false
	}
	switch err, stopped := h.counters.attempt(attempt.New(ctx, h.Timeout), h.Handle, event, h.logger, &h.episodes); {
	case stopped:
	case err != nil:
		h.failed(err)
	default:
		h.counters.handled.Add(1)
	}
	return true
}

func (h *channelHandler) failed(err error) {
	h.counters.failed.Add(1)
	h.episodes.failed.Log(h.logger, hclog.Warn, "message not handled, and not retried", "channel", h.Channel, "error", text.Error(err))
}
