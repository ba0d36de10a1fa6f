package replica

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/jobs"
)

// checkClient has the server look after the client ten times a second while a statement runs: one whose leader was
// killed does not run on.
const checkClient = `set client_connection_check_interval = 100; `

// What sessions have in force: those of pgsolo's own statements, and those of the user's outside of the log's
// transactions. Not as parameters of the start, which a pooler refuses.
const (
	ownSettings  = jobs.SessionSettings + checkClient
	userSettings = jobs.StatementSettings + checkClient
)

const selectServerStart = `select (extract(epoch from pg_catalog.pg_postmaster_start_time())
	operator(pg_catalog.*) 1000000::numeric)::bigint; `

// Where a session of the pool keeps its name, and the start of its server.
const (
	nameKey        = "application_name"
	serverStartKey = "server_start"
)

func (c *candidate) prepareSessions(config *pgxpool.Config, settings string) {
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		return c.prepareSession(ctx, conn, settings)
	}
	config.PrepareConn = func(ctx context.Context, conn *pgx.Conn) (bool, error) {
		return c.takeSession(ctx, conn) == nil, nil // another session, if this one is broken or elsewhere
	}
}

// prepareSession puts the settings of a new session in force, in one round trip.
func (c *candidate) prepareSession(ctx context.Context, conn *pgx.Conn, settings string) error {
	name := c.sessionName() // of letters and digits, as election and configuration allow them: nothing to quote
	results, err := conn.PgConn().Exec(ctx, selectServerStart+settings+"set application_name = '"+name+"'").ReadAll()
	if err != nil {
		return fmt.Errorf("prepare session: %w", err)
	}
	start, err := serverStart(results)
	if err != nil {
		return fmt.Errorf("prepare session: %w", err)
	}
	data := conn.PgConn().CustomData()
	data[nameKey], data[serverStartKey] = name, start
	return c.accept(start)
}

func serverStart(results []*pgconn.Result) (time.Time, error) {
	micros, err := strconv.ParseInt(string(results[0].Rows[0][0]), 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("read the start of the server: %w", err)
	}
	return time.UnixMicro(micros), nil
}

// takeSession gives a session of the pool its present name, if it has another one, and refuses one that is elsewhere.
func (c *candidate) takeSession(ctx context.Context, conn *pgx.Conn) error {
	name, data := c.sessionName(), conn.PgConn().CustomData()
	start, _ := data[serverStartKey].(time.Time)
	if err := c.accept(start); err != nil {
		return err
	}
	if data[nameKey] == name {
		return nil
	}
	if _, err := conn.Exec(ctx, `select pg_catalog.set_config('application_name', $1, false)`, name); err != nil {
		return fmt.Errorf("name session: %w", err)
	}
	data[nameKey] = name
	return nil
}

// accept refuses sessions of the leader that are not on the server that holds its lock: the name in the URL leads to
// another one by now. A standby may have them anywhere.
func (c *candidate) accept(serverStart time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.holding.IsZero() || serverStart.Equal(c.holding) {
		return nil
	}
	return fmt.Errorf("the session is on a server that was started at %s, the leader's lock on one of %s: "+
		"the name in postgres.url leads to more than one server, or to another one than before",
		serverStart.UTC().Format(time.RFC3339Nano), c.holding.UTC().Format(time.RFC3339Nano))
}

// become is what the sessions are from now on.
func (c *candidate) become(name string, holding time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.name, c.holding = name, holding
}

func (c *candidate) sessionName() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.name
}
