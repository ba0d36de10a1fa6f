package main

import (
	"context"
	"fmt"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/demo"
)

func demoCommand(t terminal) *cobra.Command {
	var forTime time.Duration
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Watch three replicas take over from each other",
		Long: `Start PostgreSQL and three replicas on this machine, insert events, run a cron job every second,
kill the leader every few seconds, and watch. Nothing is left behind.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if forTime < 0 {
				return &usageError{fmt.Errorf("--for %s is negative", forTime)}
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			context.AfterFunc(ctx, stop) // a second signal ends the program in the ordinary way
			return demo.Run(ctx, demo.Options{
				Out: t.out, Live: colour(t.out), For: forTime,
				Migrate: func(ctx context.Context, url string) error { return migrate(ctx, url, "pgsolo") },
			})
		},
	}
	cmd.Flags().DurationVar(&forTime, "for", 0, "end after this time, e.g. 20s (default: at Ctrl-C)")
	return cmd
}
