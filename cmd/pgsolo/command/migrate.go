package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config"
	"github.com/pgsolo/pgsolo/election"
	"github.com/pgsolo/pgsolo/jobs"
)

// migrateBound is how long the migrations may take, connecting included.
const migrateBound = 5 * time.Minute

func migrateCommand(t terminal) *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Create or update pgsolo's tables",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(path, os.LookupEnv)
			if err != nil {
				return err
			}
			if err := migrate(cmd.Context(), cfg.Postgres.URL, cfg.Postgres.Schema); err != nil {
				return err
			}
			fmt.Fprintf(t.out, "Schema %q is current.\n", cfg.Postgres.Schema)
			return nil
		},
	}
	configFlag(cmd, &path)
	return cmd
}

// migrate brings the tables of every package up to date.
func migrate(ctx context.Context, url, schema string) error {
	ctx, cancel := context.WithTimeout(ctx, migrateBound)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := election.Migrate(ctx, conn, schema); err != nil {
		return fmt.Errorf("migrate election: %w", err)
	}
	if err := jobs.Migrate(ctx, conn, schema); err != nil {
		return fmt.Errorf("migrate jobs: %w", err)
	}
	return nil
}
