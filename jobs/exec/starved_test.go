//go:build unix

package exec

import (
	"errors"
	"syscall"
	"testing"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/attempt"
)

// A program that cannot be started since this process has no files left has not begun.
func TestNoFilesAreLeft(t *testing.T) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := limit
	none.Cur = 0
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Skip(err)
	}
	err := sh("exit 0").Run(t.Context(), jobs.Invocation{})
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if _, is := errors.AsType[*attempt.StarvedError](err); !is {
		t.Errorf("without files: %v", err)
	}
	if err := (Command{Args: []string{"/bin/sh", "-c", "exit 3"}}).Run(t.Context(), jobs.Invocation{}); err == nil {
		t.Error("no error")
	} else if _, is := errors.AsType[*attempt.StarvedError](err); is {
		t.Errorf("with files: %v", err)
	}
}
