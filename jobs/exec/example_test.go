//go:build unix

package exec_test

import (
	"context"

	"github.com/pgsolo/pgsolo/jobs/eventlog"
	"github.com/pgsolo/pgsolo/jobs/exec"
)

func Example() {
	command := exec.Command{
		Args: []string{"/usr/local/bin/report", "--daily"},
		Env:  map[string]string{"REGION": "eu"},
	}
	handler := eventlog.Handler{
		Name:  "report",
		Topic: "orders",
		Handle: func(ctx context.Context, event eventlog.Event) error {
			return command.Run(ctx, event.Invocation())
		},
	}
	_ = handler // one of eventlog.Options.Handlers
}
