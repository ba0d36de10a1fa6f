package replica

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config"
)

// prepareWork overrides what a role or a database may set, and makes the server look after the client ten times a
// second while a statement runs: one whose leader was killed does not run on. Not as parameters of the start, which a
// pooler refuses.
const prepareWork = `set client_encoding = 'UTF8'; set client_connection_check_interval = 100;
	set statement_timeout = 0; set lock_timeout = 0; set idle_session_timeout = 0;
	set default_transaction_read_only = off; set default_transaction_isolation = 'read committed'`

// prepareOwn is for sessions of pgsolo's own statements alone: where row security would hide rows from them, the server
// is to refuse them, for a hidden event would count as handled.
const prepareOwn = prepareWork + `; set row_security = off`

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

func (c *candidate) prepareSessions(config *pgxpool.Config, settings string) {
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		return c.prepareSession(ctx, conn, settings)
	}
	config.PrepareConn = func(ctx context.Context, conn *pgx.Conn) (bool, error) {
		return c.nameSession(ctx, conn) == nil, nil // another session, if this one is broken
	}
}

func (c *candidate) prepareSession(ctx context.Context, conn *pgx.Conn, settings string) error {
	name := c.sessionName() // of letters and digits, as election and configuration allow them: nothing to quote
	if _, err := conn.Exec(ctx, settings+"; set application_name = '"+name+"'"); err != nil {
		return fmt.Errorf("prepare session: %w", err)
	}
	conn.PgConn().CustomData()[nameKey] = name
	return nil
}

// nameKey is where a session of the pool keeps its name.
const nameKey = "application_name"

// nameSession gives a session of the pool its present name, if it has another one.
func (c *candidate) nameSession(ctx context.Context, conn *pgx.Conn) error {
	name, known := c.sessionName(), conn.PgConn().CustomData()
	if known[nameKey] == name {
		return nil
	}
	if _, err := conn.Exec(ctx, `select set_config('application_name', $1, false)`, name); err != nil {
		return fmt.Errorf("name session: %w", err)
	}
	known[nameKey] = name
	return nil
}

func (c *candidate) rename(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.name = name
}

func (c *candidate) sessionName() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.name
}
