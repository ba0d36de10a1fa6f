package command

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/demo"
)

func demoCommand(s Streams) *cobra.Command {
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
			ctx, stop := untilInterrupt(cmd.Context())
			defer stop()
			return demo.Run(ctx, demo.Options{Out: s.Out, Live: colour(s.Out), For: forTime})
		},
	}
	cmd.Flags().DurationVar(&forTime, "for", 0, "end after this time, e.g. 20s (default: at Ctrl-C)")
	return cmd
}
