package pg

import (
	"errors"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5/pgconn"
)

// fate is what becomes of a step at the database that has failed.
type fate int

const (
	fateSilent fate = iota // no answer: tried again for a while, and then the end of the term
	fateRetry              // an answer that may be another one later: tried again without an end
	fateEnd                // the end of the term at once
)

// class is a kind of failure, with what is said about it. The table is in the documentation of package jobs.
type class struct {
	fate    fate
	key     string // tells one that was said from another
	level   hclog.Level
	message string
	remedy  string
}

var (
	silent = class{fateSilent, "silent", hclog.Warn, "database does not answer", ""}
	slow   = class{fateRetry, "slow", hclog.Warn, "the database answers, but not this step within its time",
		"look in pg_stat_activity for what it waits for: a lock, a session of the pool, a synchronous replica, a disk"}
	rowSecurity = class{fateRetry, "row security", hclog.Error,
		"row security hides rows of pgsolo's tables from this role",
		"alter table … disable row level security, or alter role … bypassrls"}
)

const refusing = "the database refused" // and may do it another time

// remedies are for SQLSTATEs and classes of them that a person can do something about.
var remedies = map[string]string{
	"22": "look for triggers and altered columns of pgsolo's tables",
	"23": "drop the constraint that is not pgsolo's",
	"25006": "the server is a replica, or sessions are read-only: " +
		"alter database … or alter role … reset default_transaction_read_only",
	"28":    "the role or its password has changed: correct it, or pg_hba.conf",
	"42501": "grant the role what it lacks, or call migrate with one that owns the tables",
	"53100": "make room on the disk of the server",
	"53200": "the server has no memory left",
	"53300": "raise max_connections, or let other applications have fewer sessions",
	"54":    "look for triggers and indexes of pgsolo's tables that are not pgsolo's",
	"P0":    "look for triggers and event triggers that raise it",
}

// classOf says what becomes of a step that has failed with err.
//
// The tables are not those of this version where a name of pgsolo's own statement is missing (SQLSTATE classes 42 and
// 3F, without a context): a standby finds out what is wrong before it leads. In a trigger of somebody else's the same
// error is one of those that a person can mend.
func classOf(err error) class {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	switch {
	case errors.Is(err, ErrFenced):
		return class{fate: fateEnd}
	case !ok:
		return silent
	case IsRowSecurity(err):
		return rowSecurity
	case refused.Code == lockNotAvailable:
		return slow
	case isSchema(refused.Code) && !isRaised(err):
		return class{fate: fateEnd}
	}
	if _, said := errors.AsType[*notAllowed](err); said {
		return class{fateRetry, refused.Code, hclog.Warn, refusing, ""}
	}
	remedy, known := remedies[refused.Code]
	if !known && len(refused.Code) == 5 {
		remedy = remedies[refused.Code[:2]]
	}
	return class{fateRetry, refused.Code, hclog.Warn, refusing, remedy}
}

func isSchema(code string) bool {
	return len(code) == 5 && (code[:2] == "42" && code != insufficientPrivilege || code[:2] == "3F")
}

// isRaised says whether an error comes from within a function, such as a trigger.
func isRaised(err error) bool {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	return ok && refused.Where != ""
}

func (c class) log(logger hclog.Logger, what string, err error) {
	args := []any{"step", what}
	if c.fate == fateSilent {
		args = append(args, "for_at_most", giveUpAfter)
	}
	args = append(args, "error", err)
	if c.remedy != "" {
		args = append(args, "remedy", c.remedy)
	}
	logger.Log(c.level, c.message+", trying again", args...)
}
