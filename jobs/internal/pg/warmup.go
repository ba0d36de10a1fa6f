package pg

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

const (
	// selectPlans is a statement whose planning reads what a session has to know of the tables, each by itself.
	selectPlans = `select coalesce('explain ' ||
			string_agg(format('select from %s', c.oid::regclass), ' union all ' order by c.relname), '')
		from pg_class c where c.relkind = 'r'
			and c.relnamespace = (select m.relnamespace from pg_class m where m.oid = 'pgsolo.jobs_migration'::regclass)
			and has_table_privilege(c.oid, 'select')`

	// notRun wants a value for $1, and gets none: a batch that it is a part of is prepared and then not run.
	notRun = `select $1::integer`
)

// WarmUp prepares statements on a session, and has it read what the server's catalogs say of the tables, without
// running any: most of what the first statements of a new leader take, on a session that has done nothing yet, is that.
// All of them are locked as for reading for the while. So it waits for no lock for long: a restore or a migration may
// have one table and wait for another.
func (db DB) WarmUp(ctx context.Context, conn *pgx.Conn, statements []string) error {
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		var plans string
		if err := tx.QueryRow(ctx, db.Place(selectPlans)).Scan(&plans); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `set local lock_timeout = '100ms'; `+plans); err != nil {
			return err
		}
		batch := db.Batch()
		batch.Queue(notRun)
		for _, statement := range statements {
			batch.Queue(statement)
		}
		_ = tx.SendBatch(ctx, &batch.Batch).Close() // an error: the statements are not run
		return nil
	})
	if err != nil {
		return fmt.Errorf("warm up: %w", err)
	}
	return nil
}
