package eventlog

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/queue"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/trial"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/txsession"
	"github.com/pgsolo/pgsolo/jobs/internal/idset"
	"github.com/pgsolo/pgsolo/jobs/internal/logread"
	"github.com/pgsolo/pgsolo/jobs/internal/loop"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// logHandler is a handler of a topic, as the runner, the poll and Stats see it. It outlasts leaderships, each of which
// has a consumer of its own. It is begun, run and ended by itself, without regard to other handlers.
type logHandler struct {
	executor
	db    pg.DB
	group string
	log   *logread.Log // shared with the other handlers of the topic

	sessions *txsession.Share // of transactions of all handlers

	ring  chan struct{} // capacity 1: there may be something to read
	retry chan struct{} // capacity 1: there may be deliveries that are due
	pulse loop.Pulse

	// For other goroutines:
	seenTo atomic.Int64 // the frontier's
	claim  atomic.Pointer[logread.Claim]
	shown  atomic.Pointer[queue.Queue] // the queue

	heldBy atomic.Pointer[string] // another group has the cursor; nil: none

	claims     loop.Turns    // of all handlers
	trials     *trial.Trials // of this leadership; nil: none
	claimed    *loop.Once    // it is known whether the cursor is this term's
	hasRead    *loop.Once    // the log was read for the first time, or another group has the cursor
	consumer   *consumer     // of the latest leadership
	heldLogged time.Time     // by the loop
	doneBefore idset.Set     // when the cursor was claimed; nil: another group has it. Written before that is known
}

func newLogHandler(h Handler, db pg.DB, group string, log *logread.Log, logger hclog.Logger) *logHandler {
	log.Join()
	return &logHandler{
		executor: executor{Handler: h, logger: logger}, db: db, group: group, log: log,
		ring: make(chan struct{}, 1), retry: make(chan struct{}, 1),
	}
}

// begin sets the handler up for a leadership, before the doorbell can ring it.
func (h *logHandler) begin(lead *loop.Leadership, claims loop.Turns, trials *trial.Trials) {
	h.claims, h.trials = claims, trials
	h.claimed, h.hasRead = loop.NewOnce(), loop.NewOnce()
	h.beginConsumer(lead)
}

// settle takes in what was done when the cursor became this term's; nil: it is another group's. Only the first time
// counts in a leadership.
func (h *logHandler) settle(done idset.Set) {
	select {
	case <-h.claimed.Done():
		return
	default:
	}
	h.doneBefore = done
	h.claimed.Happen()
	if done == nil {
		h.hasRead.Happen()
	}
}

// beginConsumer begins anew, in the same leadership or another one.
func (h *logHandler) beginConsumer(lead *loop.Leadership) {
	h.executor.begin(lead)
	h.queue = queue.New(h.isOrdered())
	h.copies, h.unread = h.log.Shared(), h.log.Refusal
	h.seenTo.Store(0)
	h.claim.Store(nil)
	h.shown.Store(h.queue)
	h.consumer = newConsumer(h)
}

// run consumes until the leadership stops or ctx is done. See consumer.run. Where another group takes the cursor, it
// waits until that lets it go.
func (h *logHandler) run(ctx context.Context) error {
	defer h.pulse.End()
	defer h.letGo()
	defer h.sessions.Close(h)
	for {
		err := h.consumer.run(ctx)
		if !h.isTaken(ctx, err) {
			return err
		}
		h.trials = nil // what they know of the events is not so any more
		h.beginConsumer(h.lead)
	}
}

func (h *logHandler) isOrdered() bool { return h.Order == OrderKey }

// Ring makes the consumer read again, soon.
func (h *logHandler) Ring() { loop.Signal(h.ring) }

// RetryNow makes the consumer query the deliveries that are due: other sessions have changed some.
func (h *logHandler) RetryNow() { loop.Signal(h.retry) }

// SeenTo is the highest id that the consumer has read in this term.
func (h *logHandler) SeenTo() int64 { return h.seenTo.Load() }

// Claim is how the log was when the cursor was claimed in this term; nil before that.
func (h *logHandler) Claim() *logread.Claim { return h.claim.Load() }

// RowsRead is how many rows consumers have read in all terms.
func (h *logHandler) RowsRead() int64 { return h.counters.Read.Load() }

// waiting is how many deliveries no worker has begun.
func (h *logHandler) waiting() int64 {
	q := h.shown.Load()
	if q == nil {
		return 0
	}
	return int64(q.Size())
}

func (h *logHandler) persist(ctx context.Context, what string, do func(context.Context) error) error {
	return h.db.Persist(ctx, h.logger, what, h.pulse.During(do))
}
