package cron

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// session is the session that a term keeps for its ticks: they do not wait for one while handlers use all others, nor for the
// round trip by which the pool makes sure of one that was idle. It belongs to the goroutine of the term.
type session struct {
	pool *pgxpool.Pool
	conn *pgxpool.Conn // nil: none at present
}

// keepSession returns nil where the pool is too small for that.
func keepSession(pool *pgxpool.Pool) *session {
	if pool.Config().MaxConns < 3 {
		return nil
	}
	return &session{pool: pool}
}

// send carries out a batch as one transaction.
func (s *session) send(ctx context.Context, batch *pgx.Batch) (err error) {
	if s.conn == nil {
		if s.conn, err = s.pool.Acquire(ctx); err != nil {
			return err
		}
	}
	if err = s.conn.SendBatch(ctx, batch).Close(); err != nil {
		s.close() // it may be broken; another try is made on another one
	}
	return err
}

func (s *session) close() {
	if s != nil && s.conn != nil {
		s.conn.Release()
		s.conn = nil
	}
}
