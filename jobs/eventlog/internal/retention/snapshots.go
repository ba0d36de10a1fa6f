package retention

import (
	"context"

	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// The one who has the oldest snapshot that this database's vacuums have to heed: a session, a replica, a prepared
// transaction or a slot. Every role may see that of the others; not of which kind a process is.
const selectOldestSnapshot = `select what, role, application from (
		select case when a.datname is null then 'replica ' else 'process ' end || a.pid as what,
			a.usename as role, coalesce(a.application_name, '') as application, a.backend_xmin as xmin
		from pg_stat_activity a
		where a.backend_xmin is not null and a.pid <> pg_backend_pid() and a.usename is not null
			and coalesce(a.datname, current_database()) = current_database()
		union all
		select 'prepared transaction ' || p.gid, p.owner, '', p.transaction
		from pg_prepared_xacts p where p.database = current_database()
		union all
		select 'slot ' || s.slot_name, '', '', s.xmin from pg_replication_slots s where s.xmin is not null
	) o order by age(xmin) desc limit 1`

// oldestSnapshot names the owner of the oldest snapshot for a line in the log, or nobody.
func oldestSnapshot(ctx context.Context, db pg.DB) []any {
	var what, role, application string
	err := pg.Try(ctx, func(ctx context.Context) error {
		return db.Pool.QueryRow(ctx, selectOldestSnapshot).Scan(&what, &role, &application)
	})
	if err != nil { // it has ended by now, or the role may not look
		return nil
	}
	return []any{"oldest", what, "role", role, "application", application}
}
