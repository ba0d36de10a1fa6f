package txsession

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
)

// Tx is a transaction that the handler cannot end.
type Tx struct{ pgx.Tx }

var errNotYours = errors.New("the transaction of HandleTx ends when all of its events are handled: " +
	"return nil, or an error to undo this event")

// Commit is refused.
func (Tx) Commit(context.Context) error { return errNotYours }

// Rollback is refused.
func (Tx) Rollback(context.Context) error { return errNotYours }

// What a session says of its transaction where there is none.
const noTransaction = 'I'

// InTransaction says whether the session is in a transaction that can go on.
func (s *Session) InTransaction() bool { return s.usable() && s.PgConn().TxStatus() != noTransaction }

func (s *Session) usable() bool { return !s.IsClosed() && !s.PgConn().IsBusy() }
