package election

import (
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgsolo/pgsolo/election/internal/direct"
)

// ErrLost means that the leadership ended without this process's will: it can no longer prove it. It is the cause of
// the context that lead was given, and what Run returns.
var ErrLost = errors.New("leadership lost")

// refusal is an error that no retry mends.
type refusal struct{ err error }

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// checkFailure is what Options.Check found.
type checkFailure struct{ err error }

func (f *checkFailure) Error() string { return f.err.Error() }
func (f *checkFailure) Unwrap() error { return f.err }

// permanent says whether a try to take part failed in a way that only a person can mend. Everything else is retried:
// the server may be down, starting, full, or a replica about to be promoted. What a replica has found right once is
// waited for when it is not: somebody restores it.
func permanent(err error, stoodBy bool) bool {
	if _, ok := errors.AsType[*refusal](err); ok || errors.Is(err, direct.ErrRefused) {
		return true
	}
	if ofTables(err) {
		restored := errors.Is(err, errRowDeleted) || errors.Is(err, errTables) || codeOf(err) == noUniqueKey
		return !stoodBy && !restored
	}
	code := codeOf(err)
	return code == "42704" || // no such setting
		strings.HasPrefix(code, "28") // wrong password, or not let in
}

// The reasons to lose the tables: the next session makes another row, or has other tables, with another lock.
var (
	errRowDeleted = errors.New("the leader row was deleted, or its table made anew")
	errTables     = errors.New("the tables of the election have been made anew, as by a restore")
)

// noUniqueKey is the SQLSTATE of a table without the key that a statement relies on, as before the end of a restore.
const noUniqueKey = "42P10"

// ofTables says whether the tables, or the database, are missing, other ones, or not complete.
func ofTables(err error) bool {
	if _, ok := errors.AsType[*checkFailure](err); ok ||
		errors.Is(err, ErrSchema) || errors.Is(err, errRowDeleted) || errors.Is(err, errTables) {
		return true
	}
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	if ok && pgErr.Routine == "check_enable_rls" { // row security was put on a table, and may go again
		return false
	}
	switch codeOf(err) {
	case "3D000", // the database does not exist
		"3F000", undefinedTable, "42883", "42703", // the schema, a table, a function, a column does not exist
		noUniqueKey,
		notAllowed:
		return true
	}
	return false
}

const (
	undefinedTable = "42P01"
	notAllowed     = "42501" // no privilege
)

// isAnswer says whether a ping was refused in a way that says nothing about the leadership.
func isAnswer(err error) bool {
	return codeOf(err) != "" && (!ofTables(err) || codeOf(err) == notAllowed)
}

// codeOf is the SQLSTATE of an answer of the server, or empty.
func codeOf(err error) string {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pgErr.Code
	}
	return ""
}
