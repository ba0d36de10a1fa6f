package eventlog

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/cursor"
	"github.com/pgsolo/pgsolo/jobs/internal/idset"
	"github.com/pgsolo/pgsolo/jobs/internal/measure"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// severityError is that of a failed statement. One with a higher severity ends the session, whatever became of the
// statement.
const severityError = "ERROR"

// end marks what has succeeded as done, and commits.
func (w *transactionWorker) end() (more bool) {
	if len(w.done) == 0 {
		return true
	}
	ctx, cancel := context.WithTimeout(w.ctx, max(w.Timeout, pg.TryTimeout))
	defer cancel()
	err := w.markDone(ctx)
	if err == nil {
		if err = w.tx.Commit(ctx); err == nil {
			w.succeeded()
			return true
		}
		err = fmt.Errorf("commit: %w", err)
		refused, ok := errors.AsType[*pgconn.PgError](err)
		if !errors.Is(err, pgx.ErrTxCommitRollback) && !(ok && refused.SeverityUnlocalized == severityError) {
			return w.inDoubt(err)
		}
	}
	switch {
	case errors.Is(err, jobs.ErrFenced):
		w.giveUp(err)
		return false
	case w.ctx.Err() != nil:
		return false
	case pg.IsRowSecurity(err):
		return w.inDoubt(err) // which waits until pgsolo may read its tables again
	case pg.IsDeallocated(err) && !w.deallocates:
		w.deallocates = true
		w.repeat()
		return true
	}
	w.refused(err)
	return true
}

// succeeded reports what was committed.
func (w *transactionWorker) succeeded() {
	w.release() // first of all: another worker may wait for the connection
	w.lostCommits = 0
	w.counters.Handled.Add(int64(len(w.done)))
	w.counters.Batches.Add(int64(len(w.done)), &measure.BatchBounds)
	w.queue.Committed(w.done)
	w.done = nil
}

// refused takes in that the transaction was not committed, and would not be if it was tried again.
func (w *transactionWorker) refused(err error) {
	if len(w.done) == 1 {
		w.failed(w.done[0], err)
		w.done = nil
		return
	}
	w.isolated = len(w.done)
	w.undone()
}

// inDoubt finds out what became of a commit whose answer is lost.
func (w *transactionWorker) inDoubt(lost error) (more bool) {
	w.release() // which the answer may depend on
	var done bool
	err := w.c.db.Persist(w.ctx, w.logger, "look for a lost commit", func(ctx context.Context) (err error) {
		done, err = w.c.cursor.IsDone(ctx, w.done[0].Record.ID, w.done[0].Retry) // as all of them
		return err
	})
	switch {
	case err != nil && w.ctx.Err() != nil && !errors.Is(err, jobs.ErrFenced):
		return false
	case err != nil:
		w.giveUp(err)
		return false
	case done:
		w.succeeded()
		return true
	}
	if w.lostCommits++; w.lostCommits > maxLostCommits {
		w.lostCommits = 0
		w.refused(lost)
		return true
	}
	w.repeat()
	return true
}

// repeat makes what has succeeded pending again, as it was.
func (w *transactionWorker) repeat() {
	w.undone()
	if w.isIsolated {
		w.isolated++
	}
}

// markDone is the write of progress that belongs to the events of the transaction.
func (w *transactionWorker) markDone(ctx context.Context) error {
	var p cursor.Progress
	for _, d := range w.done {
		if d.Retry {
			p.Succeeded = append(p.Succeeded, d.Record.ID)
		} else {
			p.Done.Add(idset.One(d.Record.ID))
		}
	}
	if w.deallocates {
		if err := w.conn.DeallocateAll(ctx); err != nil { // or pgx would go on naming statements that are gone
			return fmt.Errorf("forget prepared statements: %w", err)
		}
	}
	return w.c.cursor.SaveIn(ctx, w.tx, &p)
}

// giveUp ends the consumer for a reason that a worker has found.
func (w *transactionWorker) giveUp(err error) {
	select {
	case w.c.broken <- err:
	default: // another worker has done so
	}
}
