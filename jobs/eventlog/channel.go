package eventlog

import (
	"context"
	"fmt"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/queue"
	"github.com/pgsolo/pgsolo/jobs/internal/logread"
	"github.com/pgsolo/pgsolo/jobs/internal/loop"
	"github.com/pgsolo/pgsolo/jobs/internal/text"
)

// channelHandler is a handler of a plain NOTIFY channel: its messages are handled at most once, each attempted once.
// Those that wait for their turn by Rate do so in the subscription, which drops what it cannot hold.
type channelHandler struct{ executor }

// run handles until the leadership stops (then it waits for the attempts under way), until ctx is done (then it cancels
// them), or until the subscription ends. It closes the subscription.
func (h *channelHandler) run(ctx context.Context, lead *loop.Leadership, subscription jobs.Subscription) error {
	defer subscription.Close()
	h.begin(lead)
	h.subscription = &subscription
	var workers sync.WaitGroup
	for range h.Concurrency {
		w := h.newWorker(ctx, lead.Starting, &workers)
		workers.Go(w.run)
	}
	workers.Wait()
	if !lead.Stopping() && !lead.Held() {
		<-ctx.Done() // the leadership is lost, which is for others to say: workers begin nothing from then on
	}
	if lead.Stopping() {
		return nil
	}
	return fmt.Errorf("handler %q: channel %q has no LISTEN session any more", h.Name, h.Channel)
}

// nextMessage waits for a message of the channel. It returns false when nothing more may begin.
func (w *worker) nextMessage() (queue.Delivery, bool) {
	for {
		select {
		case <-w.starting.Done():
			return queue.Delivery{}, false
		case <-w.subscription.Missed:
			w.episodes.Missed.Log(w.logger, hclog.Warn,
				"messages may have been missed: a plain channel has no copy of them", "channel", w.Channel)
		case payload, ok := <-w.subscription.Messages:
			if !ok || w.lead.Stopping() {
				return queue.Delivery{}, false
			}
			return queue.Delivery{Record: &logread.Record{Payload: []byte(payload)}, Attempt: 1}, true
		}
	}
}

// dropMessage is all that becomes of a message whose attempt failed.
func (e *executor) dropMessage(err error) {
	e.episodes.Failed.Log(e.logger, hclog.Warn, "message not handled, and not retried",
		"channel", e.Channel, "error", text.Error(err))
}
