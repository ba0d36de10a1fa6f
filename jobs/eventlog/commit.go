package eventlog

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/queue"
	"github.com/pgsolo/pgsolo/jobs/internal/idset"
	"github.com/pgsolo/pgsolo/jobs/internal/measure"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// severityError is that of a failed statement. One with a higher severity ends the session, whatever became of the statement.
const severityError = "ERROR"

// end marks what has succeeded as done, and commits.
func (w *transactor) end() (more bool) {
	if len(w.done) == 0 {
		return true
	}
	ctx, cancel := context.WithTimeout(w.ctx, max(w.c.Timeout, pg.TryTimeout))
	defer cancel()
	err := w.c.markDone(ctx, w.tx, w.done)
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
		w.c.giveUp(err)
		return false
	case w.ctx.Err() != nil:
		return false
	}
	w.refused(err)
	return true
}

// succeeded reports what was committed.
func (w *transactor) succeeded() {
	w.release() // first of all, for whoever waits for a connection
	w.lost = 0
	w.c.counters.handled.Add(int64(len(w.done)))
	w.c.counters.batches.Add(int64(len(w.done)), &measure.BatchBounds)
	w.c.queue.Committed(w.done)
	w.done = nil
}

// refused takes in that the transaction was not committed, and would not be if it was tried again.
func (w *transactor) refused(err error) {
	if len(w.done) == 1 {
		w.c.failed(w.done[0], err)
		w.done = nil
		return
	}
	w.alone = len(w.done)
	w.undone()
}

// inDoubt finds out what became of a commit whose answer is lost.
func (w *transactor) inDoubt(lost error) (more bool) {
	w.release() // which the answer may depend on
	var done bool
	err := pg.Persist(w.ctx, w.c.logger, "look for a lost commit", func(ctx context.Context) (err error) {
		done, err = w.c.isDone(ctx, w.done[0]) // as all of them
		return err
	})
	switch {
	case err != nil && w.ctx.Err() != nil && !errors.Is(err, jobs.ErrFenced):
		return false
	case err != nil:
		w.c.giveUp(err)
		return false
	case done:
		w.succeeded()
		return true
	}
	if w.lost++; w.lost > maxLost {
		w.lost = 0
		w.refused(lost)
		return true
	}
	w.undone()
	if w.apart {
		w.alone++
	}
	return true
}

// markDone is the write of progress that belongs to the events of a transaction.
func (c *consumer) markDone(ctx context.Context, tx pgx.Tx, deliveries []queue.Delivery) error {
	var p progress
	for _, d := range deliveries {
		if d.Retry {
			p.succeeded = append(p.succeeded, d.Record.ID)
		} else {
			p.done.Add(idset.One(d.Record.ID))
		}
	}
	_, err := c.saveIn(ctx, tx, &p)
	return err
}

// Two statements, so that the second one sees what the transaction has committed that the first one may have waited for.
const (
	lockCursor = `select from pgsolo.cursor where handler = $1 and term = $2 for update`

	selectDone = `select case when $3 then not exists (select from pgsolo.delivery where handler = $1 and event_id = $2)
			else (select done @> $2::bigint from pgsolo.cursor where handler = $1) end`
)

// isDone says whether a transaction that may have been committed has marked the delivery, once that transaction has ended.
func (c *consumer) isDone(ctx context.Context, d queue.Delivery) (done bool, err error) {
	err = pgx.BeginTxFunc(ctx, c.log.Pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, pg.Place(lockCursor, c.log.Schema), c.Name, c.term)
		if err != nil {
			return fmt.Errorf("lock cursor of %q: %w", c.Name, err)
		}
		if tag.RowsAffected() == 0 {
			return fmt.Errorf("handler %q: %w", c.Name, jobs.ErrFenced)
		}
		return tx.QueryRow(ctx, pg.Place(selectDone, c.log.Schema), c.Name, d.Record.ID, d.Retry).Scan(&done)
	})
	return done, err
}

// giveUp ends the consumer for a reason that a worker has found.
func (c *consumer) giveUp(err error) {
	select {
	case c.broken <- err:
	default: // another one has said so
	}
}
