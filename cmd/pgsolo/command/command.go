package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/hashicorp/go-hclog"
	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/app"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/config"
	"github.com/pgsolo/pgsolo/election"
)

// The exit codes.
const (
	exitDone      = 0
	exitError     = 1
	exitUsage     = 2 // wrong command line or configuration
	exitUnhealthy = 3 // leadership lost, or the leader cannot go on: to be started again
)

// exitCodeOf says what an error means to whoever started the program.
func exitCodeOf(err error) int {
	var wrongConfig *config.Error
	var wrongUsage *usageError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &wrongConfig), errors.As(err, &wrongUsage):
		return exitUsage
	case errors.Is(err, election.ErrLost), errors.Is(err, app.ErrUnhealthy):
		return exitUnhealthy
	}
	return exitError
}

// usageError is a command line that makes no sense.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }

// terminal is what the program reads from and writes to.
type terminal struct {
	in       *os.File
	out, err *os.File
}

// colour says whether to send escape sequences to f.
func colour(f *os.File) bool {
	return isatty.IsTerminal(f.Fd()) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// run is the program: it returns the exit code.
func run(args []string, t terminal) int {
	root := newRoot(t)
	root.SetArgs(args)
	err := root.ExecuteContext(context.Background())
	report(err, t.err)
	return exitCodeOf(err)
}

// report shows an error to a person: mistakes in the configuration with their source, anything else in a line.
func report(err error, to *os.File) {
	var wrongConfig *config.Error
	var logged *loggedError
	switch {
	case err == nil, errors.As(err, &logged):
	case errors.As(err, &wrongConfig):
		if err := wrongConfig.Write(to, 0, colour(to)); err != nil {
			fmt.Fprintln(to, "pgsolo:", err)
		}
	default:
		fmt.Fprintln(to, "pgsolo:", err)
	}
}

func newRoot(t terminal) *cobra.Command {
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
			if len(args) > 0 {
				return &usageError{fmt.Errorf("unknown command %q%s; see 'pgsolo help'", args[0], didYouMean(cmd.SuggestionsFor(args[0])))}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SuggestionsMinimumDistance = 2
	root.SetIn(t.in)
	root.SetOut(t.out)
	root.SetErr(t.err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{fmt.Errorf("%w; see '%s --help'", err, cmd.CommandPath())}
	})
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(runCommand(t), devCommand(t), demoCommand(t), benchCommand(t), migrateCommand(t), validateCommand(t), versionCommand(t))
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

// newLogger logs to w as the configuration says.
func newLogger(c config.Log, w io.Writer) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{
		Name: "pgsolo", Level: hclog.LevelFromString(c.Level), JSONFormat: c.Format == "json", Output: w,
	})
}
