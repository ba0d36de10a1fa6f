package command

import (
	"fmt"
	"os"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/replica"
)

func migrateCommand(s Streams) *cobra.Command {
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
			j := openJournal(cfg.Log, s.Err)
			defer j.close()
			ctx := hclog.WithContext(cmd.Context(), j.Logger)
			if err := replica.Migrate(ctx, cfg.Postgres.URL, cfg.Postgres.Schema); err != nil {
				return err
			}
			fmt.Fprintf(s.Out, "Schema %q is current.\n", cfg.Postgres.Schema)
			return nil
		},
	}
	configFlag(cmd, &path)
	return cmd
}
