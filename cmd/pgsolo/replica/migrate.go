package replica

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config"
	"github.com/pgsolo/pgsolo/election"
	"github.com/pgsolo/pgsolo/jobs"
)

// migrateBound is how long the migrations may take, connecting included.
const migrateBound = 5 * time.Minute

// Migrate brings the tables of every package up to date, in the schema of a database.
func Migrate(ctx context.Context, url, schema string) error {
	ctx, cancel := context.WithTimeout(ctx, migrateBound)
	defer cancel()
	pool, err := config.Postgres{URL: url}.PoolConfig()
	if err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, pool.ConnConfig)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, jobs.SessionSettings); err != nil {
		return fmt.Errorf("migrate: prepare session: %w", err)
	}
	if err := election.Migrate(ctx, conn, schema); err != nil {
		return fmt.Errorf("migrate election: %w", err)
	}
	if err := jobs.Migrate(ctx, conn, schema); err != nil {
		return fmt.Errorf("migrate jobs: %w", err)
	}
	return nil
}
