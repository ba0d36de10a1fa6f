package replica

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/jobs/sql"
)

const (
	// maxStatements is how many statements of cron jobs and of handlers of channels run at a time in one process, at
	// most.
	maxStatements = 16

	// How long its cleaning may take.
	cleanTime = 5 * time.Second
)

// newStatementPool has the sessions of statements that run outside of the log's transactions. They are not the
// runner's, because a statement may take an hour. A session is opened when a statement needs it: a standby has none.
func (s *sessions) newStatementPool(config *pgxpool.Config, size int32) (*pgxpool.Pool, error) {
	config.MinConns, config.MinIdleConns = 0, 0
	config.MaxConns = size
	config.MaxConnIdleTime = idleSession
	config.HealthCheckPeriod = idleSession / 4
	config.ConnConfig.ConnectTimeout = 5 * time.Second
	config.ConnConfig.OnNotice = sql.KeepNotices
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec // cleaning a session removes its prepared statements
	s.prepareSessions(config, userSettings)
	config.AfterRelease = cleanSession
	sql.WatchPool(config)
	return pgxpool.NewWithConfig(context.Background(), config)
}

// cleanSession removes what a statement has left in its session, such as settings, temporary tables and advisory locks.
// The pool closes a session for which it returns false.
func cleanSession(conn *pgx.Conn) bool {
	ctx, cancel := context.WithTimeout(context.Background(), cleanTime)
	defer cancel()
	if _, err := conn.Exec(ctx, `discard all`); err != nil {
		return false
	}
	return prepareSession(ctx, conn, userSettings) == nil
}
