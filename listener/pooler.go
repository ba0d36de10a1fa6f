package listener

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// ErrPooler is the cause where a pooler in between shares the server's sessions among its clients. LISTEN then belongs
// to none of them, and nothing is delivered while nothing is asked.
var ErrPooler = errors.New("a pooler in transaction or statement mode is in between, " +
	"through which nothing is delivered; connect to PostgreSQL directly, or set the pooler to session mode")

// serverLost is what PgBouncer says in the place of idleSessionTimeout.
const serverLost = "08P01"

// refuseSharing is asked of a session whose process is not the one that answered the start of the connection, so that a
// pooler speaks for the server. It uses the session up.
func (s *session) refuseSharing(ctx context.Context) error {
	exec := func(ctx context.Context, sql string) error {
		if _, err := s.exec(ctx, sql); err != nil {
			return fmt.Errorf("probe the pooler: %w", err)
		}
		return nil
	}
	shares, err := sharesSessions(ctx, exec, s.endsWithin)
	if err != nil {
		return err
	}
	if shares {
		return ErrPooler
	}
	return nil
}

// endsWithin waits for the end of the connection, and says whether that of the server's session was the reason.
func (s *session) endsWithin(ctx context.Context, within time.Duration) (bool, error) {
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case <-timer.C:
		return false, nil
	case <-s.ended:
	}
	refusal, ok := errors.AsType[*pgconn.PgError](s.err)
	if ok && (refusal.Code == idleSessionTimeout || refusal.Code == serverLost) {
		return true, nil
	}
	return false, fmt.Errorf("probe the pooler: %w", s.err)
}
