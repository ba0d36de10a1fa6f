// This file stands in election and in jobs alike, as migrate.go does.

package election

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"
)

const (
	migrateBound = time.Minute
	migratePause = time.Second // in which what has waited behind the last try goes on

	// Below deadlock_timeout, so that none of those that wait for each other's locks is ended but the migration. Rows
	// that row security hides are not to be left out of it.
	boundLocks = `set local lock_timeout = '400ms'; set local row_security = off`
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
