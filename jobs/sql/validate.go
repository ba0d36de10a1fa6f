package sql

import (
	"fmt"
	"slices"

	"github.com/pgsolo/pgsolo/jobs"
)

// maxArgs is the limit of PostgreSQL's protocol.
const maxArgs = 65535

// Validate names the field that is wrong, in a *jobs.FieldError. It knows quotes and comments, but no grammar: most
// mistakes are for the server to find. It never prints a part of SQL or Args.
func (s Statement) Validate() error {
	found := scan(s.SQL)
	switch {
	case found.first == "":
		return wrong("SQL", "is empty: it is one statement, such as: delete from session where expires_at < now()")
	case found.second > 0:
		return wrong("SQL", "has a second statement%s: put them into a function, a do block or a with query, "+
			"which are one each", s.place(int32(found.second)))
	case slices.Contains(transactionControl, found.first):
		return wrong("SQL", "begins or ends a transaction: a statement is one by itself, or runs in one "+
			"that is not its own")
	case found.copiesIn:
		return wrong("SQL", "copies from standard input, of which there is none: insert the rows instead")
	case found.params > maxArgs:
		return wrong("SQL", "has a parameter above $%d, the highest", maxArgs)
	case found.params > len(s.Args):
		return wrong("SQL", "has the parameter $%d, and there %s", found.params, count(len(s.Args)))
	case found.params < len(s.Args):
		return wrong("Args", "has a value for $%d, a parameter that the statement does not have outside of quotes",
			found.params+1)
	}
	return nil
}

func wrong(field, format string, args ...any) error {
	return fmt.Errorf("sql: %w", jobs.NewFieldError(field, format, args...))
}

func count(values int) string {
	switch values {
	case 0:
		return "is no value for any"
	case 1:
		return "is only one value"
	}
	return fmt.Sprintf("are only %d values", values)
}

var transactionControl = []string{"begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release"}
