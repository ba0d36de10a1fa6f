package command

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/bench"
)

func benchCommand(s Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure pgsolo on this machine, beside the floor",
		Long: `Measure pgsolo on this machine. Each figure that has a floor, which is what PostgreSQL alone
takes for the same, stands beside it; both are measured in turn.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return &usageError{fmt.Errorf("no bench is called %q; see 'pgsolo bench'", args[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, b := range bench.All() {
		cmd.AddCommand(oneBenchCommand(s, b))
	}
	cmd.AddCommand(competitorCommand(s))
	return cmd
}

func oneBenchCommand(s Streams, b bench.Bench) *cobra.Command {
	var (
		output  string
		options = bench.Options{Out: s.Out, Progress: s.Err, Live: colour(s.Err)}
	)
	cmd := &cobra.Command{
		Use:   b.Name,
		Short: b.Short,
		Long:  b.Long,
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case output != "table" && output != "json":
				return &usageError{fmt.Errorf("--output %q: want table or json", output)}
			case cmd.Flags().Changed("samples") && options.N < 1:
				return &usageError{errors.New("--samples: want at least 1")}
			case b.Backlog && cmd.Flags().Changed("events") && options.Events < 1:
				return &usageError{errors.New("--events: want at least 1")}
			}
			options.JSON = output == "json"
			ctx, stop := untilInterrupt(cmd.Context())
			defer stop()
			return b.Run(ctx, options)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&options.URL, "url", "",
		"use this server, in a database of the bench's own (default: a private server)")
	flags.IntVarP(&options.N, "samples", "n", 0,
		"samples of the main figures; the others have a part or a multiple of it (default 100; 5 if --quick)")
	flags.BoolVar(&options.Quick, "quick", false, "take seconds, not minutes")
	if b.Backlog {
		flags.IntVar(&options.Events, "events", 0, "events of the backlog (default 1000000; 100000 if --quick)")
	}
	flags.StringVarP(&output, "output", "o", "table", "table or json: one object per figure and line")
	flags.BoolVar(&options.Strict, "strict", false, "exit with code 1 if a goal is not met")
	return cmd
}

// competitorCommand is what the bench starts as a process.
func competitorCommand(s Streams) *cobra.Command {
	competitor := bench.Competitor{Out: s.Out}
	cmd := &cobra.Command{
		Use:    "competitor",
		Short:  "Compete for the leadership and say so, for a bench",
		Hidden: true,
		Args:   noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			go exitAtEOF(s.In)
			competitor.URL = os.Getenv("DATABASE_URL")
			ctx, stop := untilInterrupt(cmd.Context())
			defer stop()
			return competitor.Run(ctx)
		},
	}
	cmd.Flags().BoolVar(&competitor.Floor, "floor", false, "wait in pg_advisory_lock, without an elector")
	cmd.Flags().DurationVar(&competitor.Lease, "lease", 5*time.Second, "of the elector")
	return cmd
}
