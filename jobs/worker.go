package jobs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"
)

// work handles deliveries until the queue is closed or ctx is done; once starting is done it begins nothing more. A function that calls
// runtime.Goexit takes the goroutine with it: that is a failed attempt, and another goroutine of workers goes on.
func (c *consumer) work(ctx, starting context.Context, workers *sync.WaitGroup) {
	if c.HandleTx != nil {
		newTransactor(ctx, starting, c).work(workers)
		return
	}
	var (
		attempts = newAttempts(ctx, c.Timeout)
		payloads arena // the worker's own
		passed   int   // the gate, in this period
		again    bool  // it is not the first
		inside   bool
	)
	d, ok := c.queue.next()
	defer func() {
		if inside {
			c.gate.report(passed, errExited)
			c.failed(d, errExited)
			workers.Go(func() { c.work(ctx, starting, workers) })
		}
	}()
	for ok && c.mayStart() { // what is not handled is delivered again
		event, err := c.event(d, &payloads)
		wanted := true
		if err == nil && c.When != nil {
			passed, inside = 0, true
			wanted, err = c.filter(event)
			inside = false
			if err != nil {
				c.counters.logPanic(err, event, c.logger, &c.episodes)
			}
		}
		var stopped bool
		if err == nil && wanted {
			if c.gate != nil {
				if passed, ok = c.gate.pass(starting); !ok || !c.mayStart() {
					return
				}
			}
			attempts.follows = again && !d.waited && c.When == nil && c.gate == nil
			again, inside = true, true
			err, stopped = c.counters.attempt(attempts, c.Handle, event, c.logger, &c.episodes)
			inside = false
			if stopped {
				return
			}
			c.gate.report(passed, err)
		}
		switch {
		case err != nil:
			c.failed(d, err)
			again = false
			d, ok = c.queue.next()
		case !wanted:
			c.counters.filtered.Add(1)
			d, ok = c.queue.succeed(d)
		default:
			c.counters.handled.Add(1)
			d, ok = c.queue.succeed(d)
		}
	}
}

// mayStart is asked right before each attempt.
func (c *consumer) mayStart() bool { return c.held == nil || c.held() }

// failed returns a delivery whose attempt failed.
func (c *consumer) failed(d delivery, err error) {
	c.counters.failed.Add(1)
	c.queue.fail(d, err)
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

// handlerCounters count what became of the events of one handler, and measure its work.
type handlerCounters struct {
	read, handled, failed, dead, inFlight atomic.Int64

	retried  atomic.Int64 // attempts after an event's first
	filtered atomic.Int64 // events that When did not want
	duration histogram    // of attempts; see histogram.seconds
	batches  histogram    // events that one transaction brought to success; see histogram.sizes

	breakerOpen   atomic.Bool
	breakerOpened atomic.Int64 // how often
}

// attempt hands one event to the handler, measures that, and logs the stack of a panic. stopped is true where the attempt failed
// because the leader has to stop: then it was none.
func (c *handlerCounters) attempt(of *attempts, handle HandleFunc, event Event, logger hclog.Logger, episodes *episodes) (err error, stopped bool) {
	c.inFlight.Add(1)
	defer c.inFlight.Add(-1)
	err = of.attempt(func(ctx context.Context) error { return handle(ctx, event) })
	if err != nil && of.ctx.Err() != nil {
		return err, true
	}
	c.duration.add(int64(of.took), &durationBounds)
	if event.Attempt > 1 {
		c.retried.Add(1)
	}
	if err != nil {
		c.logPanic(err, event, logger, episodes)
	}
	return err, false
}

func (c *handlerCounters) logPanic(err error, event Event, logger hclog.Logger, episodes *episodes) {
	defer func() { _ = recover() }() // of what a handler's error does when it is unwrapped
	if p, ok := errors.AsType[*panicError](err); ok {
		episodes.panicked.log(logger, hclog.Error, "handler panicked", "event_id", event.ID, "attempt", event.Attempt, "panic", p.value, "stack", string(p.stack))
	}
}

// maxErrorText bounds what is kept of an error in the database.
const maxErrorText = 8 << 10

// errorText is an error as PostgreSQL can keep it: valid UTF-8, without NUL, bounded.
func errorText(err error) string {
	text := fmt.Sprint(err) // unlike err.Error(), it survives an error that panics, such as a nil pointer
	if len(text) > maxErrorText {
		text = text[:maxErrorText]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}
