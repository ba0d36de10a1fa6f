package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config"
)

func validateCommand(t terminal) *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "validate",
		Short: "Check the configuration, without the database",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, err := config.Load(path, os.LookupEnv)
			if err != nil {
				return err
			}
			if err := checkWork(cfg); err != nil {
				return err
			}
			handlers, crons := cfg.Work()
			fmt.Fprintf(t.out, "%s is valid: %s, %s, %s, %s.\n", path, count(len(cfg.Elections), "election"),
				count(len(cfg.Topics), "topic"), count(handlers, "handler"), count(crons, "cron job"))
			return nil
		},
	}
	configFlag(cmd, &path)
	return cmd
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
