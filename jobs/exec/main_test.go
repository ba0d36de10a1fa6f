//go:build unix

package exec

import (
	"context"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/pgsolo/pgsolo/jobs"
)

// scriptVariable makes the test binary run the shell script that it holds as a Command, for a test that kills the
// binary.
const scriptVariable = "EXEC_TEST_SCRIPT"

func TestMain(m *testing.M) {
	if script := os.Getenv(scriptVariable); script != "" {
		fmt.Println(sh(script).Run(context.Background(), jobs.Invocation{}))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

func sh(script string) Command {
	return Command{Args: []string{shell, "-c", script}}
}
