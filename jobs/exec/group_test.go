//go:build unix

package exec

import (
	"bufio"
	"errors"
	"os"
	osexec "os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
)

// sleepers starts a child that forks a grandchild. Both ignore SIGTERM and SIGHUP and hold the FIFO open for as long as
// they live. Neither holds the command's output, so nothing but a signal can be what ends them.
const sleepers = `exec 9<>$FIFO
(trap '' TERM HUP; (echo ready >&9; exec sleep 1000) >/dev/null 2>&1 & exec sleep 1000) >/dev/null 2>&1 &
`

// fifo shows when a tree of processes is gone: reading from it ends when no process holds its other end. Unlike a
// search for process ids this needs no polling and cannot be fooled by a process that reuses an id.
type fifo struct {
	path  string
	read  *os.File
	write *os.File // keeps the reader from an early end until a process holds the FIFO
}

func newFIFO(t *testing.T) *fifo {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	read, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { read.Close() })
	write, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { write.Close() })
	return &fifo{path: path, read: read, write: write}
}

// waitReady waits for the line that a script writes.
func (f *fifo) waitReady(t *testing.T) {
	t.Helper()
	if err := f.read.SetReadDeadline(time.Now().Add(pgtest.Patience)); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(f.read).ReadString('\n'); err != nil {
		t.Fatalf("read from command: %q, %v", line, err)
	}
}

// waitGone waits until no process holds the FIFO.
func (f *fifo) waitGone(t *testing.T) {
	t.Helper()
	f.write.Close()
	if err := f.read.SetReadDeadline(time.Now().Add(pgtest.Patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := f.read.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("processes of the command are still alive")
	}
}

func TestKilledParentTakesCommandAlong(t *testing.T) {
	fifo := newFIFO(t)
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := osexec.Command(binary)
	parent.Env = append(os.Environ(), "FIFO="+fifo.path, scriptVariable+"="+sleepers+"trap '' TERM HUP; wait")
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	fifo.waitReady(t)
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	fifo.waitGone(t)
}

// The shell may start only after this process has died: then both of its pipes are closed already.
func TestKilledParentBeforeShellIsReady(t *testing.T) {
	for range 20 {
		group, err := startGroup()
		if err != nil {
			t.Fatal(err)
		}
		group.said.Close()
		<-group.ready
		group.alive.Close()
		_ = group.watcher.Wait()
		if status := group.watcher.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGKILL {
			t.Fatalf("the shell ended with %s, want SIGKILL to its group", group.watcher.ProcessState)
		}
	}
}

func TestBackgroundEndsWithProgram(t *testing.T) {
	for name, test := range map[string]struct {
		end  string
		want string
	}{
		"success": {end: "read -r line <$READY; exit 0"},
		"failure": {end: "read -r line <$READY; exit 5", want: "run /bin/sh: exit status 5"},
	} {
		t.Run(name, func(t *testing.T) {
			held, ready := newFIFO(t), newFIFO(t)
			command := sh(sleepers + "exec 9>&-; " + test.end)
			command.Env = map[string]string{"FIFO": held.path, "READY": ready.path}
			result := make(chan error, 1)
			go func() { result <- command.Run(t.Context(), jobs.Invocation{}) }()
			held.waitReady(t)
			ready.write.WriteString("go\n")
			err := <-result
			held.waitGone(t)
			if err != nil && err.Error() != test.want || err == nil && test.want != "" {
				t.Errorf("Run = %v, want %q", err, test.want)
			}
		})
	}
}

// The process that leaves the group keeps the command's output open until the test ends.
func TestProcessOutsideGroupDoesNotHoldRun(t *testing.T) {
	if _, err := osexec.LookPath("setsid"); err != nil {
		t.Skip("this system has no setsid command")
	}
	left, held := newFIFO(t), newFIFO(t)
	command := sh(`setsid sh -c 'echo ready >$LEFT; read -r line <$HELD' & read -r line <$LEFT`)
	command.Env = map[string]string{"LEFT": left.path, "HELD": held.path}
	result := make(chan error, 1)
	go func() { result <- command.Run(t.Context(), jobs.Invocation{}) }()
	select {
	case err := <-result:
		if err != nil {
			t.Errorf("Run = %v, want success", err)
		}
	case <-time.After(pgtest.Patience):
		t.Error("Run waits for a process outside the group")
	}
}

func TestSignalComesBeforeShellIsReady(t *testing.T) {
	inTime := 0
	for range 20 {
		group, err := startGroup()
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if group.terminate(nil); time.Since(began) >= watchTime { // it is not waited for any longer
			group.end()
			continue
		}
		inTime++
		if err := group.watcher.Process.Signal(syscall.Signal(0)); err != nil {
			t.Errorf("the shell did not survive SIGTERM: %v", err)
		}
		group.end()
		if status := group.watcher.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGKILL {
			t.Errorf("the shell ended with %s, want SIGKILL", group.watcher.ProcessState)
		}
	}
	if inTime == 0 {
		t.Errorf("no shell was ready within %s", watchTime)
	}
}
