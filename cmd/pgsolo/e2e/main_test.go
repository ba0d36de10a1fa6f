package main

import (
	"context"
	"os"
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/privatepg"
)

// beProgram makes the test binary behave as the program, so that tests can run it as a process, and kill it.
const beProgram = "PGSOLO_TEST_BE_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(beProgram) != "" {
		main()
	}
	os.Exit(privatepg.Main(m, func(ctx context.Context, url string) error { return migrate(ctx, url, "pgsolo") }))
}
