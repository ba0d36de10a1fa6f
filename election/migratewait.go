// This file stands in election and in jobs alike, as migrate.go does.

package election

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	migrateBound = time.Minute
	migratePause = time.Second // in which what has waited behind the last try goes on

	// Below deadlock_timeout, so that none of those that wait for each other's locks is ended but the migration. Rows
	// that row security hides are not to be left out of it.
	boundLocks = `set local lock_timeout = '400ms'; set local row_security = off`

	// Who has a lock on something in the schema, or migrates: the longest transaction first, and those of which this
	// role may not see how long they have taken.
	selectBlocking = `select case when k.pid is null then 'a prepared transaction, see pg_prepared_xacts'
			else format('process %s of role %s (application %s%s)', k.pid, coalesce(a.usename, '?'),
				coalesce(nullif(a.application_name, ''), '?'), coalesce(', ' || a.state, '')) end
		from pg_catalog.pg_locks k left join pg_catalog.pg_stat_activity a using (pid)
		where k.granted and k.pid is distinct from pg_backend_pid()
			and k.database = (select oid from pg_catalog.pg_database where datname = current_database())
			and (k.locktype = 'relation'
					and k.relation in (select oid from pg_catalog.pg_class where relnamespace = to_regnamespace($1))
				or k.locktype = 'advisory' and k.objsubid = 1
					and k.objid::bigint = hashtext('pgsolo migrate')::bigint & 4294967295)
		group by k.pid, a.usename, a.application_name, a.state, a.xact_start
		order by a.xact_start nulls first limit 3`
)

// migrateWithin tries again while something is locked. The transaction that waited has been rolled back each time.
func migrateWithin(ctx context.Context, bound time.Duration, conn *pgx.Conn, schema string) error {
	if !schemaName.MatchString(schema) {
		return fmt.Errorf("schema name %q: want lower-case letters, digits and underscores, at most 40", schema)
	}
	all, err := loadMigrations(schema)
	if err != nil {
		return fmt.Errorf("load migrations: %w", err)
	}
	logger := hclog.FromContext(ctx).Named("migrate")
	began, logged := time.Now(), ""
	for {
		err := migrate(ctx, conn, schema, all)
		if !isLocked(err) {
			return err
		}
		by := blocking(ctx, conn, schema)
		if time.Since(began)+migratePause > bound {
			return fmt.Errorf("gave up after %s: other sessions have locks: %s: %w", bound, by, err)
		}
		if by != logged {
			logged = by
			logger.Warn("other sessions have locks, trying again each second",
				"schema", schema, "sessions", by, "for_at_most", bound, "error", err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("other sessions have locks: %s: %w: %w", by, err, ctx.Err())
		case <-time.After(migratePause):
		}
	}
}

// isLocked says whether a lock could not be had: lock_not_available, or deadlock_detected.
func isLocked(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pgErr.Code == "55P03" || pgErr.Code == "40P01")
}

// blocking names those that probably had the lock.
func blocking(ctx context.Context, conn *pgx.Conn, schema string) string {
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
