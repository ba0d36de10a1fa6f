package listener

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// ErrPooler is the cause where a pooler in between shares the server's sessions among its clients. LISTEN then belongs to none of
// them, and nothing is delivered while nothing is asked.
var ErrPooler = errors.New("a pooler in transaction or statement mode is in between, through which nothing is delivered; " +
	"connect to PostgreSQL directly, or set the pooler to session mode")

const (
	// sharingTimeout is when the server ends the session, and sharingWait how much longer that may take on a busy machine.
	sharingTimeout = 50 * time.Millisecond
	sharingWait    = time.Second

	idleSessionTimeout = "57P05"
	serverLost         = "08P01" // what PgBouncer says in its place
)

// refuseSharing is asked of a session whose process is not the one that answered the start of the connection, so that something
// in between speaks for the server. It shares the server's sessions if the connection survives the end of the one that
// has just answered. Other clients, a pool of one and the pooler's choice make no difference to that. It uses the session up.
func (s *session) refuseSharing(ctx context.Context) error {
	if _, err := s.exec(ctx, fmt.Sprintf("set idle_session_timeout = %d", sharingTimeout.Milliseconds())); err != nil {
		return fmt.Errorf("probe the pooler: %w", err)
	}
	timer := time.NewTimer(sharingTimeout + sharingWait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-s.ended:
		if refusal, ok := errors.AsType[*pgconn.PgError](s.err); ok && (refusal.Code == idleSessionTimeout || refusal.Code == serverLost) {
			return nil
		}
		return fmt.Errorf("probe the pooler: %w", s.err)
	case <-timer.C:
	}
	if _, err := s.exec(ctx, `select 1`); err != nil {
		return fmt.Errorf("probe the pooler: %w", err) // this process, rather than the server, may have been late
	}
	return ErrPooler
}
