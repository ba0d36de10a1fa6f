package jobs

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"
)

// work handles deliveries until the queue is closed or ctx is done. A function that calls runtime.Goexit takes the goroutine with
// it: that is a failed attempt, and another goroutine of workers goes on.
func (c *consumer) work(ctx context.Context, workers *sync.WaitGroup) {
	var (
		attempts = newAttempts(ctx, c.Timeout)
		payloads arena // the worker's own
		inside   bool
	)
	d, ok := c.queue.next()
	defer func() {
		if inside {
			c.counters.failed.Add(1)
			c.queue.fail(d, errExited)
			workers.Go(func() { c.work(ctx, workers) })
		}
	}()
	for ok && (c.held == nil || c.held()) { // what is not handled is delivered again
		event, err := c.event(d, &payloads)
		var stopped bool
		if err != nil {
			c.counters.failed.Add(1)
		} else {
			inside = true
			err, stopped = c.counters.attempt(attempts, c.Handle, event, c.logger, &c.episodes)
			inside = false
		}
		switch {
		case stopped:
			return
		case err != nil:
			c.queue.fail(d, err)
			d, ok = c.queue.next()
		default:
			d, ok = c.queue.succeed(d)
		}
	}
}

// event makes the event of a delivery. Where other handlers may have the same record, the payload is a copy, so that each may do
// with its own what it likes.
func (c *consumer) event(d delivery, payloads *arena) (Event, error) {
	event, err := d.record.event()
	event.Handler, event.Attempt, event.Term = c.Name, d.attempt, c.term
	if c.log.shared() && !d.retry {
		event.Payload = payloads.bytes(event.Payload)
	}
	return event, err
}

// handlerCounters count what became of the events of one handler.
type handlerCounters struct {
	read, handled, failed, dead, inFlight atomic.Int64
}

// attempt hands one event to the handler, counts the outcome, and logs the stack of a panic. stopped is true where the
// attempt failed because the leader has to stop: then it is not counted, for it was none.
func (c *handlerCounters) attempt(of *attempts, handle HandleFunc, event Event, logger hclog.Logger, episodes *episodes) (err error, stopped bool) {
	c.inFlight.Add(1)
	defer c.inFlight.Add(-1)
	err = of.attempt(func(ctx context.Context) error { return handle(ctx, event) })
	if err != nil && of.ctx.Err() != nil {
		return err, true
	}
	if err == nil {
		c.handled.Add(1)
		return nil, false
	}
	c.failed.Add(1)
	if p, ok := errors.AsType[*panicError](err); ok {
		episodes.panicked.log(logger, hclog.Error, "handler panicked", "event_id", event.ID, "attempt", event.Attempt, "panic", p.value, "stack", string(p.stack))
	}
	return err, false
}

// maxErrorText bounds what is kept of an error in the database.
const maxErrorText = 8 << 10

// errorText is an error as PostgreSQL can keep it: valid UTF-8, without NUL, bounded.
func errorText(err error) string {
	text := err.Error()
	if len(text) > maxErrorText {
		text = text[:maxErrorText]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}
