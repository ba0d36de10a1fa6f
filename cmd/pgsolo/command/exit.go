package command

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/replica"
	"github.com/pgsolo/pgsolo/election"
)

// The exit codes.
const (
	ExitDone      = 0
	ExitError     = 1
	ExitUsage     = 2 // wrong command line or configuration
	ExitUnhealthy = 3 // leadership lost, or the leader cannot go on: to be started again
)

// exitCodeOf says what an error means to the program's parent.
func exitCodeOf(err error) int {
	var wrongConfig *config.Error
	var wrongUsage *usageError
	switch {
	case err == nil:
		return ExitDone
	case errors.As(err, &wrongConfig), errors.As(err, &wrongUsage):
		return ExitUsage
	case errors.Is(err, election.ErrLost), errors.Is(err, replica.ErrUnhealthy):
		return ExitUnhealthy
	}
	return ExitError
}

// usageError is a command line that makes no sense.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }

// loggedError has been logged, in the format and at the place of the other lines: it is not printed again.
type loggedError struct{ error }

func (e *loggedError) Unwrap() error { return e.error }

// reportWithin is report, for as long as the output of a process that ends may take: a pipe has room for the report, or
// has not been read for long.
func reportWithin(limit time.Duration, err error, to *os.File) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		report(err, to)
	}()
	select {
	case <-done:
	case <-time.After(limit):
	}
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
