package pg

import (
	"errors"

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
	noSuchStatement       = "26000"
)

// IsNotAllowed says whether err is the server's answer that the role lacks a privilege.
func IsNotAllowed(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.Code == insufficientPrivilege && !IsRowSecurity(err)
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
