package migration

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Who has a lock on something in the schema, or migrates: the longest transaction first, and those of which this
// role may not see how long they have taken.
const selectBlocking = `select case when k.pid is null then 'a prepared transaction, see pg_prepared_xacts'
			when a.pid is not null and a.usesysid is null
				then pg_catalog.format('process %s of the server (autovacuum?)', k.pid)
			else pg_catalog.format('process %s of role %s (application %s%s)', k.pid, coalesce(a.usename, '?'),
				coalesce(nullif(a.application_name, ''), '?'), coalesce(', ' || a.state, '')) end
		from pg_catalog.pg_locks k left join pg_catalog.pg_stat_activity a using (pid)
		where k.granted and k.pid is distinct from pg_backend_pid()
			and k.database = (select oid from pg_catalog.pg_database where datname = current_database())
			and (k.locktype = 'relation'
					and k.relation in (select oid from pg_catalog.pg_class where relnamespace = to_regnamespace($1))
				or k.locktype = 'advisory' and k.objsubid = 1
					and k.objid::bigint = hashtext('pgsolo migrate')::bigint & 4294967295)
		group by k.pid, a.pid, a.usesysid, a.usename, a.application_name, a.state, a.xact_start
		order by a.xact_start nulls first limit 3`

// IsLocked says whether a lock could not be had: lock_not_available, or deadlock_detected.
func IsLocked(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pgErr.Code == "55P03" || pgErr.Code == "40P01")
}

// Blocking names those that probably had the lock.
func Blocking(ctx context.Context, conn *pgx.Conn, schema string) string {
	rows, err := conn.Query(ctx, selectBlocking, schema)
	if err != nil {
		return err.Error()
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	switch {
	case err != nil:
		return err.Error()
	case len(names) == 0:
		return "they have ended since"
	}
	return strings.Join(names, ", ")
}
