package migration

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Tables of the schema that autovacuum works on. Its processes have no role, which every role may see.
const selectVacuumed = `select pg_catalog.format('%I.%I', n.nspname, c.relname)
	from pg_catalog.pg_locks k join pg_catalog.pg_stat_activity a using (pid)
		join pg_catalog.pg_class c on c.oid = k.relation join pg_catalog.pg_namespace n on n.oid = c.relnamespace
	where k.granted and k.locktype = 'relation' and k.mode = 'ShareUpdateExclusiveLock' and a.usesysid is null
		and a.datname = current_database() and k.database = a.datid and c.relkind = 'r' and n.nspname = $1`

// Autovacuum ends for who has waited as long as deadlock_timeout.
const boundByDeadlockTimeout = `select
		pg_catalog.set_config('lock_timeout', least(setting::int + 400, 10000)::text, true)
	from pg_catalog.pg_settings where name = 'deadlock_timeout'`

// endAutovacuum has autovacuum leave the tables of the schema, for some time: a migration waits too briefly for that,
// because producers wait behind it. Behind this lock, which is autovacuum's own, nothing waits but another one and
// changes of the table. It says whether some has ended, so that the next try has to come at once. What it cannot have,
// that one names.
func endAutovacuum(ctx context.Context, conn *pgx.Conn, schema string) (ended bool, err error) {
	rows, err := conn.Query(ctx, selectVacuumed, schema)
	if err != nil {
		return false, fmt.Errorf("read what autovacuum works on: %w", err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return false, fmt.Errorf("read what autovacuum works on: %w", err)
	}
	for _, table := range tables {
		err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, boundByDeadlockTimeout); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `lock table `+table+` in share update exclusive mode`)
			return err
		})
		if err != nil && !IsLocked(err) {
			return false, fmt.Errorf("have autovacuum leave %s: %w", table, err)
		}
		ended = ended || err == nil
	}
	return ended, nil
}
