package replica

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// idleSession is how long a session is kept that has nothing to do.
const idleSession = time.Minute

// newPool keeps one session open from the beginning, so that a standby can take over when the server accepts no more,
// and closes others when they are idle. Sessions are not renewed by age: there might be none to be had.
func (s *sessions) newPool(base *pgxpool.Config, size int32) (*pgxpool.Pool, error) {
	base.MinConns = 1
	base.MaxConns = size
	base.MaxConnIdleTime = idleSession
	base.HealthCheckPeriod = 5 * time.Second
	base.MaxConnLifetime = 10 * 365 * 24 * time.Hour
	base.ConnConfig.ConnectTimeout = 5 * time.Second
	s.prepareSessions(base, ownSettings)
	return pgxpool.NewWithConfig(context.Background(), base)
}
