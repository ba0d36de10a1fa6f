package pg

import (
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// ErrFenced is jobs.ErrFenced.
var ErrFenced = errors.New("a newer leader has taken over")

// ErrStopping means that a step failed when nothing new may begin any more, and is left to the next leader.
var ErrStopping = errors.New("left to the next leader")

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

// IsDeallocated says whether a statement that pgx had prepared is gone from its session.
func IsDeallocated(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.Code == noSuchStatement
}
