package sql

import (
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgsolo/pgsolo/jobs"
)

// reportKey is where a session keeps the report of the statement that it runs.
const reportKey = "github.com/pgsolo/pgsolo/jobs/sql report"

// KeepNotices writes what the server says while a statement runs, by RAISE NOTICE for example, to the statement's
// report. It is the OnNotice of the pgconn.Config of a pool; without it notices are dropped. pgx calls it from the
// goroutine that reads.
func KeepNotices(session *pgconn.PgConn, notice *pgconn.Notice) {
	if report, ok := session.CustomData()[reportKey].(*jobs.Report); ok {
		fmt.Fprintf(report, "%s: %s\n", notice.Severity, notice.Message)
	}
}

// keepNotices begins to, and returns what ends it.
func keepNotices(session *pgconn.PgConn, report *jobs.Report) (end func()) {
	session.CustomData()[reportKey] = report
	return func() { delete(session.CustomData(), reportKey) }
}
