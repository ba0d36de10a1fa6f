package rows

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// session is the session that a term keeps for its ticks: they do not wait for one while handlers use all others, nor
// for the round trip by which the pool makes sure of one that was idle. It belongs to the goroutine of the term.
type session struct {
	pool *pgxpool.Pool
	conn *pgxpool.Conn // nil: none at present
}

// KeepSession returns a store whose batches take one session of the pool, which they keep until release is called. It
// is for one goroutine. Where the pool has fewer than three, or is shared with others that would keep one too, the
// store takes any of them each time.
func (s Store) KeepSession() (kept Store, release func()) {
	if s.Shared || s.DB.Pool.Config().MaxConns < 3 {
		return s, func() {}
	}
	s.session = &session{pool: s.DB.Pool}
	return s, s.session.release
}

func (s *session) send(ctx context.Context, batch *pgx.Batch) (err error) {
	if s.conn == nil {
		if s.conn, err = s.pool.Acquire(ctx); err != nil {
			return err
		}
	}
	err = s.conn.SendBatch(ctx, batch).Close()
	if err != nil || s.pool.Stat().TotalConns() < 2 {
		// It may be broken, and another try is made on another one; or it is all that the server gives at present.
		s.release()
	}
	return err
}

func (s *session) release() {
	if s.conn != nil {
		s.conn.Release()
		s.conn = nil
	}
}
