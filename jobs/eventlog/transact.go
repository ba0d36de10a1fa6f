package eventlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/queue"
	"github.com/pgsolo/pgsolo/jobs/internal/attempt"
	"github.com/pgsolo/pgsolo/jobs/internal/logread"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// transactor is one worker of a handler that gets its events in transactions, up to Batch of them in one. Only its own goroutine uses it.
//
// A transaction ends with a write of the cursor's row under the leader's term, and then the commit. So each event's effects and
// the mark that it is done are there together or not at all, and nothing but that mark keeps it from being handled again:
//
//   - A leader that was replaced cannot commit. The new one has claimed the cursor by an update of the same row. Either that came
//     first: then the old term is no more, and the write finds no row. Or it waits for the row until this transaction has ended,
//     and then reads what it has marked.
//   - Where the connection is lost before the commit is sent, nothing was committed, and nothing will be. Where it is lost after
//     that, the transaction may even be under way still. It holds the cursor's row until it has ended: whoever locks that row
//     then reads how it did. See isDone.
//
// Until its transaction has ended, what succeeded in it is not reported. It is handled again where the transaction was undone for
// the sake of another event, or for nobody's.
type transactor struct {
	c             *consumer
	ctx, starting context.Context // of what runs, and of what waits to begin
	attempts      *attempt.Attempts
	payloads      logread.Arena

	hand  []queue.Delivery // to be handled before any other: they were in a transaction that was undone
	alone int              // so many of them each in a transaction of its own: one of them spoils it for the others
	apart bool             // the transaction under way is one of those
	lost  int              // commits in a row whose connection was lost, and which have not happened

	// The transaction under way; conn is nil between two.
	conn *pgxpool.Conn
	tx   pgx.Tx
	done []queue.Delivery // succeeded in it

	current queue.Delivery // in the hands of When or HandleTx while inside is true
	passed  int            // the gate, in this period
	inside  bool
}

// maxLost is how often a commit may get lost before that counts as the failure of what it should have committed: it may be what
// ends the connection.
const maxLost = 3

func newTransactor(ctx, starting context.Context, c *consumer) *transactor {
	return &transactor{c: c, ctx: ctx, starting: starting, attempts: attempt.New(ctx, c.Timeout)}
}

func (w *transactor) work(workers *sync.WaitGroup) {
	defer func() {
		if w.inside { // the function has called runtime.Goexit
			w.inside = false
			w.c.gate.Report(w.passed, attempt.ErrExited)
			w.c.failed(w.current, attempt.ErrExited)
			w.undone()
			workers.Go(func() { w.work(workers) })
		}
	}()
	for w.transact() {
	}
}

// transact handles what waits, up to a batch, in one transaction. It returns false when nothing more is to be begun.
func (w *transactor) transact() (more bool) {
	d, ok := w.take(w.c.queue.Next)
	if !ok {
		return false
	}
	if w.passed, ok = w.c.gate.Pass(w.starting); !ok {
		return false
	}
	limit := max(1, w.c.Batch)
	if w.apart = w.alone > 0; w.apart {
		w.alone--
		limit = 1
	}
	if !w.begin(limit > 1) {
		return false
	}
	defer w.release()
	for attempted := 1; w.c.mayStart(); attempted++ {
		failure, stopped := w.attempt(d)
		if stopped {
			return false
		}
		if failure == nil && !w.intact() {
			failure = errBroken
		}
		w.c.gate.Report(w.passed, failure)
		if failure == nil {
			w.done = append(w.done, d)
		} else {
			w.c.failed(d, failure)
			if limit > 1 && w.exec(`rollback to savepoint pgsolo_event`) != nil {
				w.undone()
				return true
			}
		}
		if attempted == limit {
			return w.end()
		}
		if d, ok = w.take(w.c.queue.TryNext); !ok {
			return w.end()
		}
		if failure == nil {
			if err := w.exec(`release savepoint pgsolo_event; savepoint pgsolo_event`); err != nil { // by what the handler has left behind
				if w.ctx.Err() != nil {
					return false
				}
				last := len(w.done) - 1
				w.c.failed(w.done[last], fmt.Errorf("%w: %w", errBroken, err))
				w.done, w.hand = w.done[:last], slices.Insert(w.hand, 0, d)
				w.undone()
				return true
			}
		}
		if w.passed, ok = w.c.gate.TryPass(); !ok {
			w.hand = slices.Insert(w.hand, 0, d)
			return w.end()
		}
	}
	return false
}

var (
	errBroken  = errors.New("HandleTx has ended its transaction, or has left its connection closed or busy")
	errIgnored = errors.New("HandleTx returned no error although a statement of its transaction has failed")
)

// take returns the next delivery that the handler wants: one in hand, or what next returns.
func (w *transactor) take(next func() (queue.Delivery, bool)) (queue.Delivery, bool) {
	if len(w.hand) > 0 {
		d := w.hand[0]
		w.hand = w.hand[1:]
		return d, w.starting.Err() == nil
	}
	for {
		d, ok := next()
		if !ok || w.c.When == nil {
			return d, ok
		}
		event, err := w.c.event(d, &w.payloads)
		wanted := true
		if err == nil {
			w.current, w.passed, w.inside = d, 0, true
			wanted, err = w.c.filter(event)
			w.inside = false
		}
		switch {
		case err != nil:
			w.c.counters.logPanic(err, event, w.c.logger, &w.c.episodes)
			w.c.failed(d, err)
		case wanted:
			return d, true
		default:
			w.c.counters.filtered.Add(1)
			w.c.queue.Finish(d)
		}
	}
}

// begin begins a transaction on a connection of the pool. It tries until it can, or until nothing more is to be begun: how long the
// database may fail is decided where progress is read and written.
func (w *transactor) begin(savepoint bool) bool {
	// Each statement shall see what others have committed: under the other levels the write of the cursor's row would fail
	// whenever another worker has written it meanwhile.
	query := `begin isolation level read committed`
	if savepoint {
		query += `; savepoint pgsolo_event`
	}
	for backoff := pg.MinBackoff; ; backoff = min(2*backoff, pg.MaxBackoff) {
		err := w.tryBegin(query)
		if err == nil {
			return true
		}
		if w.starting.Err() != nil {
			return false
		}
		w.c.episodes.begin.Log(w.c.logger, hclog.Warn, "no transaction begins, trying again", "error", err)
		select {
		case <-w.starting.Done():
			return false
		case <-time.After(backoff):
		}
	}
}

func (w *transactor) tryBegin(query string) error {
	conn, err := w.c.log.Pool.Acquire(w.starting) // may take as long as others have them all
	if err != nil {
		return fmt.Errorf("acquire connection: %w", err)
	}
	ctx, cancel := context.WithTimeout(w.ctx, pg.TryTimeout)
	defer cancel()
	if w.tx, err = conn.BeginTx(ctx, pgx.TxOptions{BeginQuery: query}); err != nil {
		conn.Release()
		return fmt.Errorf("begin transaction: %w", err)
	}
	w.conn, w.done = conn, w.done[:0]
	return nil
}

// attempt hands the event to the handler.
func (w *transactor) attempt(d queue.Delivery) (failure error, stopped bool) {
	event, err := w.c.event(d, &w.payloads)
	if err != nil {
		return err, false
	}
	w.current, w.inside = d, true
	failure, stopped = w.c.counters.attempt(w.attempts, func(ctx context.Context, event Event) error {
		return w.c.HandleTx(ctx, eventTx{w.tx}, event)
	}, event, w.c.logger, &w.c.episodes)
	w.inside = false
	if failure == nil && w.conn.Conn().PgConn().TxStatus() == 'E' {
		failure = errIgnored
	}
	return failure, stopped
}

// intact says whether the transaction can go on.
func (w *transactor) intact() bool {
	conn := w.conn.Conn().PgConn()
	return !conn.IsClosed() && !conn.IsBusy() && conn.TxStatus() != 'I'
}

func (w *transactor) exec(sql string) error {
	ctx, cancel := context.WithTimeout(w.ctx, pg.TryTimeout)
	defer cancel()
	_, err := w.tx.Exec(ctx, sql)
	return err
}

// undone takes what has succeeded in the transaction into the hand again.
func (w *transactor) undone() {
	w.hand = slices.Concat(w.done, w.hand)
	w.done = nil
}

// release gives the connection back. What was not committed is rolled back.
func (w *transactor) release() {
	if w.conn == nil {
		return
	}
	if w.intact() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), lastSave)
		defer cancel()
		_ = w.tx.Rollback(ctx) // or the connection is closed, which does the same
	}
	w.conn.Release()
	w.conn = nil
}

// eventTx is a transaction that the handler cannot end.
type eventTx struct{ pgx.Tx }

var errNotYours = errors.New("the transaction of HandleTx ends when all of its events are handled: return nil, or an error to undo this event")

func (eventTx) Commit(context.Context) error { return errNotYours }

func (eventTx) Rollback(context.Context) error { return errNotYours }
