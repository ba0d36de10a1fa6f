package e2e

import (
	"context"
	"os"
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/command"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/replica"
)

// beProgram makes the test binary behave as the program, so that tests can run it as a process, and kill it.
const beProgram = "PGSOLO_TEST_BE_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(beProgram) != "" {
		os.Exit(command.Run(os.Args[1:], command.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
	}
	os.Exit(pgtest.Main(m, func(ctx context.Context, url string) error {
		return replica.Migrate(ctx, url, "pgsolo")
	}))
}
