package eventlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/queue"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/txsession"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// transactionWorker is a worker of a handler that gets its events in transactions, up to Batch of them in one.
//
// A transaction ends with a write of the cursor's row under the leader's term, and then the commit. So each event's
// effects and the mark that it is done are there together or not at all, and nothing but that mark keeps it from being
// handled again:
//
//   - A leader that was replaced cannot commit. The new one has claimed the cursor by an update of the same row. Either
//     that came first: then the old term is no more, and the write finds no row. Or it waits for the row until this
//     transaction has ended, and then reads what it has marked.
//   - Where the connection is lost before the commit is sent, nothing was committed, and nothing will be. Where it is
//     lost after that, the transaction may even be under way still. It holds the cursor's row until it has ended: a
//     session that locks that row then reads how it did. See cursor.IsDone.
//
// Until its transaction has ended, what succeeded in it is not reported. It is handled again where the transaction was
// undone for the sake of another event, or for no event's.
type transactionWorker struct {
	worker
	c   *consumer
	ctx context.Context // of what runs

	pending     []queue.Delivery // to be handled before any other: they were in a transaction that was undone
	isolated    int              // the first so many, each in a transaction of its own: one spoils it for the others
	isIsolated  bool             // the transaction under way is that of one of them
	lostCommits int              // in a row: the connection was lost, and the commit has not happened
	deallocates bool             // the handler's statements have removed what was prepared in their session

	// The transaction under way; conn is nil between two.
	conn *txsession.Session
	tx   pgx.Tx
	done []queue.Delivery // succeeded in it
}

// maxLostCommits is how often a commit may get lost before that counts as the failure of what it should have committed:
// it may be what ends the connection.
const maxLostCommits = 3

func (w *transactionWorker) run() {
	defer func() {
		if w.exited() {
			w.undone()
			w.workers.Go(w.run)
		}
	}()
	for w.transact() {
	}
}

// transact handles what waits, up to a batch, in one transaction. It returns false when nothing more may begin.
func (w *transactionWorker) transact() (more bool) {
	d, ok := w.take(w.queue.Next)
	if !ok {
		return false
	}
	defer func() { w.leave(more) }()
	if w.passed, ok = w.gate.Pass(w.starting); !ok {
		return false
	}
	limit := max(1, w.Batch)
	if w.pass != nil {
		limit = 1
	}
	if w.isIsolated = w.isolated > 0; w.isIsolated {
		w.isolated--
		limit = 1
	}
	if !w.begin(limit > 1) {
		return false
	}
	defer w.release()
	for attempted := 1; w.lead.Held(); attempted++ {
		failure, stopped := w.attemptInTx(d)
		if stopped {
			return false
		}
		if failure == nil && !w.conn.InTransaction() {
			failure = errBroken
		}
		w.gate.Report(w.passed, failure)
		if failure == nil {
			w.done = append(w.done, d)
		} else {
			w.failed(d, failure)
			if limit > 1 && w.exec(`rollback to savepoint pgsolo_event`) != nil {
				w.undone()
				return true
			}
		}
		if attempted == limit {
			return w.end()
		}
		if d, ok = w.take(w.queue.TryNext); !ok {
			return w.end()
		}
		if failure == nil {
			// An error of this comes from what the handler has left behind.
			if err := w.exec(`release savepoint pgsolo_event; savepoint pgsolo_event`); err != nil {
				if w.ctx.Err() != nil {
					return false
				}
				last := len(w.done) - 1
				w.failed(w.done[last], fmt.Errorf("%w: %w", errBroken, err))
				w.done, w.pending = w.done[:last], slices.Insert(w.pending, 0, d)
				w.undone()
				return true
			}
		}
		if w.passed, ok = w.gate.TryPass(); !ok {
			w.pending = slices.Insert(w.pending, 0, d)
			return w.end()
		}
	}
	return false
}

var (
	errBroken  = errors.New("HandleTx has ended its transaction, or has left its connection closed or busy")
	errIgnored = errors.New("HandleTx returned no error although a statement of its transaction has failed")
)

// take returns the next delivery that the handler wants: a pending one, or what next returns. While a transaction is
// under way it takes none that would have to wait for its turn to be tried: others may need the connection meanwhile.
func (w *transactionWorker) take(next func() (queue.Delivery, bool)) (queue.Delivery, bool) {
	for {
		var d queue.Delivery
		pending, ok := len(w.pending) > 0, w.starting.Err() == nil
		if pending {
			d, w.pending = w.pending[0], w.pending[1:]
		} else {
			d, ok = next()
		}
		if !ok {
			return d, false
		}
		var err error
		if w.conn != nil && !w.trial.Passes(d.Record.ID, d.Retry) {
			w.pending = slices.Insert(w.pending, 0, d)
			return d, false
		} else if w.conn == nil {
			if w.pass, err, ok = w.trial.Enter(w.starting, d.Record.ID, d.Retry); !ok {
				return d, false
			}
		}
		wanted := true
		if err == nil && w.When != nil && (!pending || w.trial != nil) {
			var event Event
			if event, err = w.event(d, &w.payloads); err == nil {
				wanted, err = w.isWanted(d, event)
			}
		}
		switch {
		case err != nil:
			w.failed(d, err)
			w.leave(true)
		case wanted:
			return d, true
		default:
			w.counters.Filtered.Add(1)
			w.queue.Finish(d)
			w.leave(true)
		}
	}
}

// begin begins a transaction on a connection of the pool. It tries until it can, or until nothing more may begin: how
// long the database may fail is decided where progress is read and written.
func (w *transactionWorker) begin(savepoint bool) bool {
	// Each statement shall see what others have committed: under the other levels the write of the cursor's row would
	// fail whenever another worker has written it meanwhile. And the session may have other defaults from a statement
	// of this handler.
	query := `begin isolation level read committed, read write, not deferrable; ` + pg.UserSettingsInTx
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
		w.episodes.Begin.Log(w.logger, hclog.Warn, "no transaction begins, trying again", "error", err)
		select {
		case <-w.starting.Done():
			return false
		case <-time.After(backoff):
		}
	}
}

func (w *transactionWorker) tryBegin(query string) error {
	conn, err := w.c.sessions.Take(w.starting, w.c.logHandler) // may take as long as others have them all
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(w.ctx, pg.TryTimeout)
	defer cancel()
	if w.tx, err = conn.BeginTx(ctx, pgx.TxOptions{BeginQuery: query}); err != nil {
		w.c.sessions.Give(conn, false)
		w.c.sessions.Close(w.c.logHandler) // what has ended this one while it was idle may have ended others
		return fmt.Errorf("begin transaction: %w", err)
	}
	w.conn, w.done = conn, w.done[:0]
	return nil
}

// attemptInTx gives the event to the handler.
func (w *transactionWorker) attemptInTx(d queue.Delivery) (failure error, stopped bool) {
	event, err := w.event(d, &w.payloads)
	if err != nil {
		return err, false
	}
	failure, stopped = w.attempt(d, event, func(ctx context.Context, event Event) error {
		return w.HandleTx(ctx, txsession.Tx{Tx: w.tx}, event)
	})
	if failure == nil && w.conn.PgConn().TxStatus() == 'E' {
		failure = errIgnored
	}
	return failure, stopped
}

func (w *transactionWorker) exec(sql string) error {
	ctx, cancel := context.WithTimeout(w.ctx, pg.TryTimeout)
	defer cancel()
	_, err := w.tx.Exec(ctx, sql)
	return err
}

// undone makes what has succeeded in the transaction pending again.
func (w *transactionWorker) undone() {
	w.pending = slices.Concat(w.done, w.pending)
	w.done = nil
}

// release gives the connection back. What was not committed is rolled back.
func (w *transactionWorker) release() {
	if w.conn == nil {
		return
	}
	if w.conn.InTransaction() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), lastSave)
		defer cancel()
		_ = w.tx.Rollback(ctx) // or the connection is closed, which does the same
	}
	w.c.sessions.Give(w.conn, len(w.pending) > 0 || w.queue.Size() > 0)
	w.conn = nil
}
