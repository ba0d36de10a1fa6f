//go:build unix

package exec

import (
	"fmt"
	"os"
	osexec "os/exec"
	"syscall"
	"time"
)

const (
	shell = "/bin/sh"

	// watch says when it ignores SIGTERM, which is for the command alone, and then waits for the end of its input. That
	// comes when this process is gone, however it died. If that is so already, what it says is not read, and SIGPIPE
	// must not end it either. Process id 0 is the shell's own group, itself included.
	watch = `trap '' TERM PIPE; echo; read -r line; kill -s KILL 0`

	// watchTime bounds the wait for the shell to ignore SIGTERM, about a millisecond after its start. If it takes
	// longer, SIGTERM ends the shell too, and nothing is lost but the watch.
	watchTime = time.Second
)

// group is the process group of one command. Its leader is a shell that kills the group when this process dies. The
// shell starts first, so no process of the command is ever without it, and it is reaped last, so that the group's id
// cannot pass to strangers while this process sends signals to it.
type group struct {
	watcher *osexec.Cmd
	alive   *os.File // the write end of the pipe that the shell watches
	ready   *os.File // gets one byte when the shell ignores SIGTERM
	ended   bool
}

func startGroup() (*group, error) {
	watched, alive, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make pipe for process group: %w", err)
	}
	defer watched.Close()
	ready, said, err := os.Pipe()
	if err != nil {
		alive.Close()
		return nil, fmt.Errorf("make pipe for process group: %w", err)
	}
	defer said.Close()

	watcher := osexec.Command(shell, "-c", watch)
	watcher.Env = []string{} // the shell needs none, and some change what a shell does
	watcher.Dir = "/"
	watcher.Stdin, watcher.Stdout = watched, said
	watcher.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := watcher.Start(); err != nil {
		alive.Close()
		ready.Close()
		return nil, fmt.Errorf("start process group: a command needs %s: %w", shell, err)
	}
	return &group{watcher: watcher, alive: alive, ready: ready}, nil
}

// join makes a process start in the group.
func (g *group) join() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pgid: g.watcher.Process.Pid}
}

// terminate asks the command's processes to end.
func (g *group) terminate() {
	_ = g.ready.SetReadDeadline(time.Now().Add(watchTime))
	_, _ = g.ready.Read(make([]byte, 1))
	g.signal(syscall.SIGTERM)
}

// end kills every process of the group and reaps the shell. Further calls do nothing.
func (g *group) end() {
	if g.ended {
		return
	}
	g.ended = true
	g.signal(syscall.SIGKILL)
	_ = g.watcher.Wait() // killed, as it should be
	g.alive.Close()
	g.ready.Close()
}

// signal reaches all members that this process may signal. The group exists, because its leader is not reaped yet, so
// an error says only that a member has changed its user.
func (g *group) signal(signal syscall.Signal) {
	_ = syscall.Kill(-g.watcher.Process.Pid, signal)
}
