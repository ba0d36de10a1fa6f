package bench

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgsolo/pgsolo/jobs"
)

// prepareSession overrides what the role may set. Tables of the bench are in the public schema of its own database.
const prepareSession = jobs.SessionSettings + `set search_path = public`

// sessions says that those of the configuration are the bench's own.
func sessions(config *pgx.ConnConfig) {
	config.AfterConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		if _, err := conn.Exec(ctx, prepareSession).ReadAll(); err != nil {
			return fmt.Errorf("prepare session: %w", err)
		}
		return nil
	}
}
