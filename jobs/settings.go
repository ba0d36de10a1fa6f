package jobs

import (
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// The settings of sessions, as one message for AfterConnect of a pool. They override what a role, a database or a
// connection URL may set: time-outs that would end the session, transactions that are read-only or serializable, an
// encoding other than UTF8. Where a pooler in transaction mode is in between, they reach its other clients.
const (
	// SessionSettings are for the engines' pool and for Migrate. What is not qualified is looked for in pg_catalog
	// alone, row security refuses what it would hide, and there are no time-outs. The user's statements in transactions
	// of the log have the role's own search_path, row_security, jit, statement_timeout and lock_timeout again.
	SessionSettings = pg.OwnSettings

	// StatementSettings are for a pool of the user's statements: those five are the role's own.
	StatementSettings = pg.StatementSettings
)

// checkEncoding refuses a database that does not say which characters its bytes are: the server sends one that is not
// UTF-8 to nobody who asks for UTF-8, so that an event with it could not be read.
func checkEncoding(conn *pgx.Conn) error {
	const none = "SQL_ASCII"
	if conn.PgConn().ParameterStatus("server_encoding") != none {
		return nil
	}
	return fmt.Errorf("the database has the encoding %s, which takes any bytes for text: "+
		"use a database with another one, such as UTF8", none)
}
