// Package direct connects to a server that can enforce a lease: one that is new enough, and with which no pooler in
// between shares a session among its clients.
package direct

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const askBackend = `select pg_catalog.pg_backend_pid()`

// ErrRefused is an error that no retry mends.
var ErrRefused = errors.New("no lease can hold")

// oldestServer is the first major version with every setting of the lease.
const oldestServer = 14

var errShared = fmt.Errorf("%w: a pooler in transaction or statement mode is in between: "+
	"it shares the server's sessions among its clients, so that a lock belongs to none of them; "+
	"connect to PostgreSQL directly, or set the pooler to session mode", ErrRefused)

// notSupported is the server's answer to a session in UTF8 where the encoding of the database has no conversion to it,
// as MULE_INTERNAL.
const notSupported = "0A000"

// encodingError is an ErrRefused.
type encodingError struct{ err error }

func (e *encodingError) Error() string {
	return "no session in UTF8 is to be had: use a database with another encoding, such as UTF8: " + e.err.Error()
}
func (e *encodingError) Unwrap() error        { return e.err }
func (e *encodingError) Is(target error) bool { return target == ErrRefused }

// Connect returns a connection that has a session of the server to itself. Whether it has is asked only where a proxy
// speaks for the server. That takes a connection more, one after the other, and about 50 ms.
func Connect(ctx context.Context, config *pgx.ConnConfig) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, config)
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == notSupported {
		return nil, &encodingError{err}
	}
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	proxied, err := refuseSharing(ctx, conn)
	if err == nil && !proxied {
		return conn, nil
	}
	_ = conn.Close(ctx) // it has served its purpose, or is broken
	if err != nil {
		return nil, err
	}
	if conn, err = pgx.ConnectConfig(ctx, config); err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return conn, nil
}

// refuseSharing tells whether there is a proxy, and refuses one that shares sessions. A proxy answers the start of a
// connection itself, with a process id of its own making. The lease depends on just what is then asked: that the
// server's end of a silent session is the end of this connection.
func refuseSharing(ctx context.Context, conn *pgx.Conn) (proxied bool, err error) {
	if err := checkVersion(conn.PgConn().ParameterStatus("server_version")); err != nil {
		return false, err
	}
	// Not by pgx.Conn, which wants settings for that which are not in force yet.
	results, err := conn.PgConn().Exec(ctx, askBackend).ReadAll()
	if err != nil {
		return false, fmt.Errorf("ask for the server's process: %w", err)
	}
	if string(results[0].Rows[0][0]) == fmt.Sprint(conn.PgConn().PID()) {
		return false, nil
	}
	// Simple queries, one message each: a pooler may hand every message to another server session, where a statement
	// that was prepared a moment ago does not exist.
	exec := func(ctx context.Context, sql string) error {
		_, err := conn.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol)
		return err
	}
	ended := func(ctx context.Context, within time.Duration) (bool, error) {
		ctx, cancel := context.WithTimeout(ctx, within)
		defer cancel()
		_, err := conn.WaitForNotification(ctx)
		if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.Code == idleSessionTimeout {
			return true, nil
		}
		if ctx.Err() == nil || conn.IsClosed() {
			return false, err
		}
		return false, nil
	}
	shares, err := sharesSessions(ctx, exec, ended)
	if err != nil {
		return true, fmt.Errorf("probe the proxy: %w", err)
	}
	if shares {
		return true, errShared
	}
	return true, nil
}

// checkVersion refuses a server that is too old. Its argument is like "15.4 (Debian 15.4-1)" or "18rc1".
func checkVersion(version string) error {
	var major int
	if _, err := fmt.Sscanf(version, "%d", &major); err == nil && major < oldestServer {
		return fmt.Errorf("%w: PostgreSQL %s cannot enforce one; want %d or newer", ErrRefused, version, oldestServer)
	}
	return nil
}
