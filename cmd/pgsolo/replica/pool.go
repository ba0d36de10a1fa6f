package replica

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config"
)

// newPool keeps one session open from the beginning. Sessions are not renewed by age: there might be none to be had.
func (c *candidate) newPool(base *pgxpool.Config) (*pgxpool.Pool, error) {
	base.MinConns = 1
	base.MaxConns = PoolSize(len(c.config.Handlers), len(c.config.Crons), transactionWorkers(c.config))
	base.HealthCheckPeriod = 5 * time.Second
	base.MaxConnLifetime = 10 * 365 * 24 * time.Hour
	base.ConnConfig.ConnectTimeout = 5 * time.Second
	c.prepareSessions(base, prepareOwn)
	return pgxpool.NewWithConfig(context.Background(), base)
}

// transactionWorkers is how many workers have a session for as long as an event takes.
func transactionWorkers(of *config.Election) (n int) {
	for _, h := range of.Handlers {
		if h.InTransaction {
			n += h.Concurrency
		}
	}
	return n
}
