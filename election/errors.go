package election

import (
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// ErrLost means that the leadership ended without this process's will: it can no longer prove it. It is the cause of
// the context that lead was given, and what Run returns.
var ErrLost = errors.New("leadership lost")

// refusal is an error that no retry mends.
type refusal struct{ err error }

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// permanent says whether a try to take part failed in a way that only a person can mend. Everything else is retried:
// the server may be down, starting, full, or a replica about to be promoted.
func permanent(err error) bool {
	if _, ok := errors.AsType[*refusal](err); ok || errors.Is(err, ErrSchema) {
		return true
	}
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || pgErr.Routine == "check_enable_rls" { // row security was put on a table, and may go again
		return false
	}
	switch pgErr.Code {
	case "3D000", // the database does not exist
		"3F000", "42P01", "42883", "42703", // the schema, a table, a function, a column does not exist
		"42501", // no privilege
		"42704": // no such setting
		return true
	}
	return strings.HasPrefix(pgErr.Code, "28") // wrong password, or not let in
}
