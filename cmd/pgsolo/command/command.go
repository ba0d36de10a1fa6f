package command

import (
	"context"
	"fmt"
	_ "time/tzdata" // a container may have no time zones of its own

	"github.com/spf13/cobra"
)

// Run runs the program with its arguments, without its name, and returns the exit code.
func Run(args []string, s Streams) int {
	if code, is := superviseAsInit(); is {
		return code
	}
	root := newRoot(s)
	root.SetArgs(args)
	err := root.ExecuteContext(context.Background())
	reportWithin(lastWords, err, s.Err)
	return exitCodeOf(err)
}

// verbs is the list of verbs, each made for the streams of one run.
func verbs() []func(Streams) *cobra.Command {
	return []func(Streams) *cobra.Command{
		runCommand, devCommand, demoCommand, benchCommand, migrateCommand, validateCommand, versionCommand,
	}
}

func newRoot(s Streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "pgsolo",
		Short: "Run background work in exactly one of several replicas, elected through PostgreSQL",
		Long: `pgsolo runs background work in exactly one of several replicas.

They compete for a lock in PostgreSQL. The holder leads: it handles events and runs
cron jobs, as config.hcl says. The others stand by and take over.

To see it work, without anything else installed:  pgsolo demo`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			hint := didYouMean(cmd.SuggestionsFor(args[0]))
			return &usageError{fmt.Errorf("unknown command %q%s; see 'pgsolo help'", args[0], hint)}
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SuggestionsMinimumDistance = 2
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{fmt.Errorf("%w; see '%s --help'", err, cmd.CommandPath())}
	})
	root.CompletionOptions.HiddenDefaultCmd = true
	for _, verb := range verbs() {
		root.AddCommand(verb(s))
	}
	return root
}

func didYouMean(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", names[0])
}

// noArgs refuses arguments, as a mistake in the command line.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return &usageError{fmt.Errorf("%s takes no arguments, got %q", cmd.CommandPath(), args[0])}
	}
	return nil
}

// configFlag adds --config.
func configFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVarP(path, "config", "c", "config.hcl", "the configuration")
}
