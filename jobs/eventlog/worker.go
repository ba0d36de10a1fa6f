package eventlog

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/gate"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/queue"
	"github.com/pgsolo/pgsolo/jobs/internal/attempt"
	"github.com/pgsolo/pgsolo/jobs/internal/logread"
	"github.com/pgsolo/pgsolo/jobs/internal/measure"
	"github.com/pgsolo/pgsolo/jobs/internal/text"
)

// work handles deliveries until the queue is closed or ctx is done; once starting is done it begins nothing more. A function that calls
// runtime.Goexit takes the goroutine with it: that is a failed attempt, and another goroutine of workers goes on.
func (c *consumer) work(ctx, starting context.Context, workers *sync.WaitGroup) {
	if c.HandleTx != nil {
		newTransactor(ctx, starting, c).work(workers)
		return
	}
	var (
		attempts = attempt.New(ctx, c.Timeout)
		payloads logread.Arena // the worker's own
		passed   int           // the gate, in this period
		again    bool          // it is not the first
		inside   bool
	)
	d, ok := c.queue.Next()
	defer func() {
		if inside {
			c.gate.Report(passed, attempt.ErrExited)
			c.failed(d, attempt.ErrExited)
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
				if passed, ok = c.gate.Pass(starting); !ok || !c.mayStart() {
					return
				}
			}
			attempts.Follows = again && !d.Waited && c.When == nil && c.gate == nil
			again, inside = true, true
			err, stopped = c.counters.attempt(attempts, c.Handle, event, c.logger, &c.episodes)
			inside = false
			if stopped {
				return
			}
			c.gate.Report(passed, err)
		}
		switch {
		case err != nil:
			c.failed(d, err)
			again = false
			d, ok = c.queue.Next()
		case !wanted:
			c.counters.filtered.Add(1)
			d, ok = c.queue.Succeed(d)
		default:
			c.counters.handled.Add(1)
			d, ok = c.queue.Succeed(d)
		}
	}
}

// mayStart is asked right before each attempt.
func (c *consumer) mayStart() bool { return c.held == nil || c.held() }

// failed returns a delivery whose attempt failed.
func (c *consumer) failed(d queue.Delivery, err error) {
	c.counters.failed.Add(1)
	c.queue.Fail(d, err)
}

// event makes the event of a delivery. Where other handlers may have the same record, the payload is a copy, so that each may do
// with its own what it likes.
func (c *consumer) event(d queue.Delivery, payloads *logread.Arena) (Event, error) {
	event, err := eventOf(d.Record)
	event.Handler, event.Attempt, event.Term = c.Name, d.Attempt, c.term
	if c.log.Shared() && !d.Retry {
		event.Payload = payloads.Bytes(event.Payload)
	}
	return event, err
}

// eventOf makes the event of a record, but for the handler's own fields. Each delivery gets headers of its own.
func eventOf(r *logread.Record) (Event, error) {
	headers, err := text.Headers(r.Headers)
	return Event{
		ID: r.ID, Topic: r.Topic, Key: r.Key, Headers: headers, Payload: r.Payload, CreatedAt: time.UnixMicro(r.CreatedAt),
	}, err
}

// handlerCounters count what became of the events of one handler, and measure its work.
type handlerCounters struct {
	read, handled, failed, dead, inFlight atomic.Int64

	retried  atomic.Int64      // attempts after an event's first
	filtered atomic.Int64      // events that When did not want
	duration measure.Histogram // of attempts; see histogram.seconds
	batches  measure.Histogram // events that one transaction brought to success; see histogram.sizes

	gate gate.Counts
}

// attempt hands one event to the handler, measures that, and logs the stack of a panic. stopped is true where the attempt failed
// because the leader has to stop: then it was none.
func (c *handlerCounters) attempt(of *attempt.Attempts, handle HandleFunc, event Event, logger hclog.Logger, episodes *episodes) (err error, stopped bool) {
	c.inFlight.Add(1)
	defer c.inFlight.Add(-1)
	err = of.Do(func(ctx context.Context) error { return handle(ctx, event) })
	if err != nil && of.Ctx.Err() != nil {
		return err, true
	}
	c.duration.Add(int64(of.Took), &measure.DurationBounds)
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
	if p, ok := errors.AsType[*attempt.PanicError](err); ok {
		episodes.panicked.Log(logger, hclog.Error, "handler panicked", "event_id", event.ID, "attempt", event.Attempt, "panic", p.Value, "stack", string(p.Stack))
	}
}

// filter asks the handler's When. Its error, or panic, names it.
func (h *Handler) filter(event Event) (pass bool, err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &attempt.PanicError{Value: value, Stack: debug.Stack()}
		}
		if err != nil {
			err = fmt.Errorf("when: %w", err)
		}
	}()
	return h.When(event)
}
