package fleet

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Freeze stops the process with SIGSTOP, and returns when all of its threads have stopped: on a busy machine that takes
// a while. Where the system has no /proc it returns at once.
func (p *Process) Freeze(ctx context.Context) error {
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for !p.frozen() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("freeze process %d: %w", p.PID(), context.Cause(ctx))
		}
	}
	return nil
}

func (p *Process) frozen() bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.PID())) // none where there is no /proc
	return err == nil && !slices.ContainsFunc(threads, func(path string) bool {
		stat, err := os.ReadFile(path)
		return err == nil && !strings.Contains(string(stat), ") T ")
	})
}

// Thaw lets a frozen process go on.
func (p *Process) Thaw() error { return p.Signal(syscall.SIGCONT) }
