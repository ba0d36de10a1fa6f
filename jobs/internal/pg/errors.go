package pg

import (
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// ErrFenced is jobs.ErrFenced.
var ErrFenced = errors.New("a newer leader has taken over")

// SQLSTATEs that callers branch on.
const (
	UndefinedTable  = "42P01" // the schema was never migrated
	UndefinedObject = "42704" // what pgsolo's functions raise for an unknown name

	ObjectInUse = "55006" // and for a name that a leader declares

	insufficientPrivilege = "42501"
	lockNotAvailable      = "55P03"
	noSuchStatement       = "26000"
	outOfMemory           = "53200"
	dataCorrupted         = "XX001"
)

// IsNotAllowed says whether err is the server's answer that the role lacks a privilege.
func IsNotAllowed(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.Code == insufficientPrivilege && !IsRowSecurity(err)
}

// IsOfRow says whether the error of a read may be about one row: SQLSTATE classes 22 (data) and 54 (limits), damaged
// data, or no memory for what is printed.
func IsOfRow(err error) bool {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (strings.HasPrefix(refused.Code, "22") || strings.HasPrefix(refused.Code, "54") ||
		refused.Code == dataCorrupted || refused.Code == outOfMemory)
}

// IsOutOfMemory says whether the server had no memory, for that statement or for any.
func IsOutOfMemory(err error) bool {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	return ok && refused.Code == outOfMemory
}

// IsRowSecurity says whether the server has refused a statement because the row security of a table would hide rows
// from it. It has the SQLSTATE of a missing privilege, and a message in the server's language: what tells it is the
// function that raises it, which is the same in all versions.
func IsRowSecurity(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.Routine == "check_enable_rls"
}

// IsDeallocated says whether a statement that pgx had prepared is gone from its session.
func IsDeallocated(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.Code == noSuchStatement
}
