package eventlog

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/counts"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/cursor"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/gate"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/queue"
	"github.com/pgsolo/pgsolo/jobs/internal/attempt"
	"github.com/pgsolo/pgsolo/jobs/internal/logread"
	"github.com/pgsolo/pgsolo/jobs/internal/loop"
	"github.com/pgsolo/pgsolo/jobs/internal/text"
)

// executor is one handler with what its workers share, whether their events come from the log or from a channel. The
// first part outlasts leaderships.
type executor struct {
	Handler
	logger   hclog.Logger
	counters counts.Counts
	episodes counts.Episodes

	lead         *loop.Leadership
	gate         *gate.Gate
	queue        *queue.Queue       // of a topic; nil for a channel
	subscription *jobs.Subscription // of a channel; nil for a topic
	copies       bool               // payloads: others have the same ones
	unread       func([]byte) error // why a payload could not be read
	identities   cursor.Identities  // of the log, as of the claim
}

// begin sets the executor up for a leadership.
func (e *executor) begin(lead *loop.Leadership) {
	e.lead = lead
	e.gate = gate.New(e.Rate, e.Breaker, e.logger, &e.counters.Gate)
}

// event makes the event of a delivery. Where other handlers may have the same record, the payload is a copy, so that
// each may do with its own what it likes.
func (e *executor) event(d queue.Delivery, payloads *logread.Arena) (Event, error) {
	if e.queue == nil {
		return Event{
			Handler: e.Name, Channel: e.Channel, Payload: d.Record.Payload, CreatedAt: time.Now(),
			Attempt: d.Attempt, Term: e.lead.Term,
		}, nil
	}
	if err := e.unread(d.Record.Payload); err != nil {
		return Event{ID: d.Record.ID, Topic: d.Record.Topic}, jobs.Discard(fmt.Errorf("the event is not read: %w", err))
	}
	event, err := eventOf(d.Record)
	event.Handler, event.Attempt, event.Term = e.Name, d.Attempt, e.lead.Term
	event.Log, event.Origin = e.identities.Of(event.ID), d.Record.Origin
	if e.copies && !d.Retry {
		event.Payload = payloads.Bytes(event.Payload)
	}
	return event, err
}

// eventOf makes the event of a record, but for the handler's own fields. Each delivery gets headers of its own.
func eventOf(r *logread.Record) (Event, error) {
	headers, err := text.Headers(r.Headers)
	return Event{
		ID: r.ID, Topic: r.Topic, Key: r.Key, Headers: headers, Payload: r.Payload,
		CreatedAt: time.UnixMicro(r.CreatedAt),
	}, err
}

// failed returns a delivery whose attempt failed.
func (e *executor) failed(d queue.Delivery, err error) {
	e.counters.Failed.Add(1)
	if e.queue == nil {
		e.dropMessage(err)
		return
	}
	e.queue.Fail(d, err)
}

// verdict decides what becomes of a failed attempt. The program's log gets a line when failures begin, not one for
// each.
func (e *executor) verdict(r queue.Result) cursor.Failure {
	f := cursor.Failure{
		ID: r.Record.ID, Record: r.Record, Retry: r.Retry, Attempt: r.Attempt, Message: text.Error(r.Err),
	}
	if f.RetryIn, f.Dead = e.Retry.Next(r.Attempt, r.Err); f.Dead {
		e.counters.Dead.Add(1)
		e.episodes.Dead.Log(e.logger, hclog.Error, "event is a dead letter",
			"event_id", f.ID, "attempts", f.Attempt, "error", f.Message)
	} else {
		e.episodes.Failed.Log(e.logger, hclog.Warn, "handler fails",
			"event_id", f.ID, "attempt", f.Attempt, "retry_in", f.RetryIn, "error", f.Message)
	}
	return f
}

func (e *executor) logPanic(err error, event *Event) {
	defer func() { _ = recover() }() // of what a handler's error does when it is unwrapped
	if p, ok := errors.AsType[*attempt.PanicError](err); ok {
		e.episodes.Panicked.Log(e.logger, hclog.Error, "handler panicked",
			"event_id", event.ID, "attempt", event.Attempt, "panic", p.Value, "stack", string(p.Stack))
	}
}

// wants asks the handler's When. Its error, or panic, names it.
func (h *Handler) wants(event Event) (wanted bool, err error) {
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
