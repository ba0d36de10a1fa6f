package migration

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"
)

const (
	// Bound is how long Migrate tries.
	Bound = time.Minute

	pause = time.Second // in which what has waited behind the last try goes on
)

// retry tries again while something is locked. The transaction that waited has been rolled back each time.
func retry(ctx context.Context, bound time.Duration, conn *pgx.Conn, schema string, migrate func() error) error {
	logger := hclog.FromContext(ctx).Named("migrate")
	began, logged := time.Now(), ""
	for {
		err := migrate()
		if !IsLocked(err) {
			return err
		}
		by := Blocking(ctx, conn, schema)
		if time.Since(began)+pause > bound {
			return fmt.Errorf("gave up after %s: other sessions have locks: %s: %w", bound, by, err)
		}
		if by != logged {
			logged = by
			logger.Warn("other sessions have locks, trying again each second",
				"schema", schema, "sessions", by, "for_at_most", bound, "error", err)
		}
		if ended, err := endAutovacuum(ctx, conn, schema); err != nil {
			logger.Warn("autovacuum may go on", "error", err)
		} else if ended {
			continue
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("other sessions have locks: %s: %w: %w", by, err, ctx.Err())
		case <-time.After(pause):
		}
	}
}
