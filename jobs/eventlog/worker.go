package eventlog

import (
	"context"
	"sync"

	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/queue"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/trial"
	"github.com/pgsolo/pgsolo/jobs/internal/attempt"
	"github.com/pgsolo/pgsolo/jobs/internal/logread"
	"github.com/pgsolo/pgsolo/jobs/internal/measure"
)

// worker handles one event after the other. Only its own goroutine uses it.
type worker struct {
	*executor
	starting context.Context // done when nothing more may begin
	attempts *attempt.Attempts
	payloads logread.Arena   // the worker's own
	workers  *sync.WaitGroup // of the handler, with this one

	delivery queue.Delivery // with When, Handle or HandleTx while inside is true
	passed   int            // the gate, in this period
	inside   bool
	trial    *trial.Trial // of events that may end the leader; nil: none
	pass     *trial.Pass  // the delivery is tried alone; nil: it is not
}

func (e *executor) newWorker(ctx, starting context.Context, workers *sync.WaitGroup) worker {
	return worker{executor: e, starting: starting,
		attempts: attempt.New(ctx, e.Timeout, e.logger), workers: workers}
}

// run handles deliveries until nothing more may begin. What is not handled is delivered again, if it is of the log. A
// function that calls runtime.Goexit takes the goroutine with it: that is a failed attempt, and another goroutine goes
// on.
func (w *worker) run() {
	defer func() {
		if w.exited() {
			w.workers.Go(w.run)
		}
	}()
	d, ok := w.next()
	for ok && w.lead.Held() {
		var (
			event Event
			err   error
		)
		if w.pass, err, ok = w.trial.Enter(w.starting, d.Record.ID, d.Retry); !ok {
			return
		}
		if err == nil {
			event, err = w.event(d, &w.payloads)
		}
		wanted := true
		if err == nil && w.When != nil {
			wanted, err = w.isWanted(d, event)
		}
		if err == nil && wanted {
			if w.gate != nil {
				if w.passed, ok = w.gate.Pass(w.starting); !ok {
					return
				}
			}
			if (w.gate != nil || w.When != nil) && !w.lead.Held() { // which was asked some time ago
				return
			}
			var stopped bool
			if err, stopped = w.attempt(d, event, w.Handle); stopped {
				return
			}
			w.gate.Report(w.passed, err)
		}
		switch {
		case err != nil:
			w.failed(d, err)
			w.leave(true)
			d, ok = w.next()
		case !wanted:
			w.counters.Filtered.Add(1)
			d, ok = w.succeed(d)
		default:
			w.counters.Handled.Add(1)
			d, ok = w.succeed(d)
		}
	}
}

// next waits for a delivery. It returns false when nothing more may begin.
func (w *worker) next() (queue.Delivery, bool) {
	if w.queue == nil {
		return w.nextMessage()
	}
	return w.queue.Next()
}

// succeed returns a delivery that needs no more work, and is next for the rest.
func (w *worker) succeed(d queue.Delivery) (queue.Delivery, bool) {
	if w.queue == nil {
		return w.nextMessage()
	}
	if w.pass != nil {
		w.queue.Finish(d)
		w.leave(true)
		return w.queue.Next()
	}
	return w.queue.Succeed(d)
}

// leave ends the trial of a delivery that is tried alone. concluded: its attempt has ended by itself.
func (w *worker) leave(concluded bool) {
	w.pass.Leave(w.attempts.Context(), concluded)
	w.pass = nil
}

// isWanted asks the handler's When, of which there is one.
func (w *worker) isWanted(d queue.Delivery, event Event) (wanted bool, err error) {
	w.delivery, w.passed, w.inside = d, 0, true
	wanted, err = w.wants(event)
	w.delivery, w.inside = queue.Delivery{}, false
	if err != nil {
		w.logPanic(err, &event)
	}
	return wanted, err
}

// attempt gives one event to the handler, measures that, and logs the stack of a panic. stopped is true where the
// attempt failed because the leader has to stop: then it was none.
func (w *worker) attempt(d queue.Delivery, event Event, handle HandleFunc) (err error, stopped bool) {
	w.delivery, w.inside = d, true
	w.counters.InFlight.Add(1)
	defer w.counters.InFlight.Add(-1)
	took, err := w.attempts.Do(func(ctx context.Context) error { return handle(ctx, event) })
	w.delivery, w.inside = queue.Delivery{}, false
	if err != nil && w.attempts.Stopped() {
		return err, true
	}
	w.counters.Duration.Add(int64(took), &measure.DurationBounds)
	if event.Attempt > 1 {
		w.counters.Retried.Add(1)
	}
	if err != nil {
		w.logPanic(err, &event)
	}
	return err, false
}

// exited is for the end of the goroutine. It says whether a function has ended it by runtime.Goexit, which it takes in.
func (w *worker) exited() bool {
	defer w.leave(w.inside)
	if !w.inside {
		return false
	}
	w.inside = false
	w.gate.Report(w.passed, attempt.ErrExited)
	w.failed(w.delivery, attempt.ErrExited)
	return true
}
