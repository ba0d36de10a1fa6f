package direct

import (
	"context"

	"github.com/jackc/pgx/v5"
)

const selectHolds = `select exists (select from pg_locks
	where locktype = 'advisory' and classid = ($1::bigint & 4294967295)::oid and objid = $2::bigint::oid
		and objsubid = 2 and database = (select oid from pg_database where datname = current_database())
		and pid = pg_backend_pid() and granted)`

// Holds says whether the session holds the advisory lock. It reads no table, so that nobody's lock holds it up.
func Holds(ctx context.Context, conn *pgx.Conn, class, id int32) (held bool, err error) {
	err = conn.QueryRow(ctx, selectHolds, class, id).Scan(&held)
	return held, err
}
