package pg

import (
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
)

const UndefinedObject = "42704"

// ErrFenced is jobs.ErrFenced.
var ErrFenced = errors.New("a newer leader has taken over")

const insufficientPrivilege = "42501"

// IsNotAllowed says whether the role lacks a privilege.
func IsNotAllowed(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.Code == insufficientPrivilege
}

const UndefinedTable = "42P01"
