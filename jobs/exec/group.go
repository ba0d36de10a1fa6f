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
	said    *os.File // gets one byte when the shell ignores SIGTERM
	ended   bool

	// ready is closed by a goroutine of the group when that byte has come, or none will. end waits for it.
	ready chan struct{}
}

func startGroup() (*group, error) {
	watched, alive, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make pipe for process group: %w", err)
	}
	defer watched.Close()
	said, saying, err := os.Pipe()
	if err != nil {
		alive.Close()
		return nil, fmt.Errorf("make pipe for process group: %w", err)
	}
	defer saying.Close()

	watcher := osexec.Command(shell, "-c", watch)
	watcher.Env = []string{} // the shell needs none, and some change what a shell does
	watcher.Dir = "/"
	watcher.Stdin, watcher.Stdout = watched, saying
	watcher.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := watcher.Start(); err != nil {
		alive.Close()
		said.Close()
		return nil, fmt.Errorf("start process group: a command needs %s: %w", shell, err)
	}
	g := &group{watcher: watcher, alive: alive, said: said, ready: make(chan struct{})}
	go func() {
		defer close(g.ready)
		_, _ = said.Read(make([]byte, 1))
	}()
	return g, nil
}

// join makes a process start in the group.
func (g *group) join() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pgid: g.watcher.Process.Pid}
}

// terminate asks the command's processes to end, unless the leadership is over.
func (g *group) terminate(over <-chan struct{}) {
	timer := time.NewTimer(watchTime)
	defer timer.Stop()
	select {
	case <-g.ready:
	case <-timer.C:
	case <-over:
		return
	}
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
	g.said.Close() // the read ends by that, if it has not yet
	<-g.ready
}

// signal reaches all members that this process may signal. The group exists, because its leader is not reaped yet, so
// an error says only that a member has changed its user.
func (g *group) signal(signal syscall.Signal) {
	_ = syscall.Kill(-g.watcher.Process.Pid, signal)
}
