package sql

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/jobs"
)

// Statement is one SQL statement to run for an event or a tick. It holds no state: one Statement may be run many times
// at once.
type Statement struct {
	SQL string // exactly one statement, whose parameters are $1, $2, …; required

	// Args are the values of the parameters, one for each; see the package's documentation.
	Args []any

	// Pool has the sessions of Run; RunTx needs none. Its OnNotice may be KeepNotices.
	Pool *pgxpool.Pool

	// Watched: the pool was made with WatchPool, and knows for sure whether an attempt has waited for a session of
	// others, which counts for nothing. Without it the figures of the pool decide, which may have changed meanwhile.
	Watched bool
}

// Run runs the statement on a session of Pool, in a transaction of its own if it can be in one. It is a jobs.Action.
// The report gets the command tag, such as DELETE 17. It returns when the server has ended the statement. The error
// wraps the cause of ctx if that ended first.
func (s Statement) Run(ctx context.Context, invocation jobs.Invocation) error {
	values, err := s.values()
	if err != nil {
		return err
	}
	if s.Pool == nil {
		return wrong("Pool", "is required by Run")
	}
	conn, err := s.acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release() // which closes a session that is not as it was
	session := conn.Conn().PgConn()

	defer keepNotices(session, invocation.Report)()
	tag, err := s.execute(ctx, session, values)
	if err != nil {
		return err
	}
	if session.TxStatus() != idle {
		return errors.New("run statement: it has left a transaction open, which is rolled back: a statement is a " +
			"transaction by itself")
	}
	fmt.Fprintln(invocation.Report, tag)
	return nil
}

// RunTx runs the statement in a transaction, for an eventlog.HandleTxFunc: then it happens exactly once for each
// event. Otherwise it is like Run.
func (s Statement) RunTx(ctx context.Context, tx pgx.Tx) error {
	values, err := s.values()
	if err != nil {
		return err
	}
	session := tx.Conn().PgConn()
	if _, err := s.execute(ctx, session, values); err != nil {
		refused, ok := errors.AsType[*pgconn.PgError](err)
		if ok && (refused.Code == activeTransaction || refused.Code == terminationRefused) {
			return fmt.Errorf("%w: a handler of a topic runs its statement in the transaction that marks the event "+
				"as done; a cron job does not", err)
		}
		return err
	}
	if session.TxStatus() == idle {
		return errors.New("run statement: it has ended the transaction that marks the event as done: leave that to " +
			"its owner")
	}
	return nil
}

// What a session says of its transaction.
const idle = 'I'
