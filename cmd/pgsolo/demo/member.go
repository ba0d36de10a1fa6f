package demo

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// restartAfter is how long a replica that ended stays away, as with an orchestrator.
const restartAfter = time.Second

// member is one `pgsolo run`, started again whenever it ends.
type member struct {
	number  int
	program string
	env     []string

	mu      sync.Mutex // guards what follows
	process *os.Process
	starts  int
}

// keep runs the replica until stop is closed; then it is told to stop, and killed after a while. log takes what it prints.
func (m *member) keep(stop <-chan struct{}, log io.Writer) error {
	for {
		cmd, parent, err := m.start(log)
		if err != nil {
			return fmt.Errorf("start replica %d: %w", m.number, err)
		}
		m.set(cmd.Process)
		ended := make(chan struct{})
		go func() {
			_ = cmd.Wait() // killed, most of the time
			close(ended)
		}()
		select {
		case <-ended:
			m.set(nil)
		case <-stop:
			_ = cmd.Process.Signal(syscall.SIGTERM)
			select {
			case <-ended:
			case <-time.After(5 * time.Second):
				_ = cmd.Process.Kill()
				<-ended
			}
		}
		parent.Close()
		select {
		case <-stop:
			return nil
		case <-time.After(restartAfter):
		}
	}
}

// start starts the process. The end of parent, which is its standard input, is its end: also when this process is killed. Its
// configuration comes through a pipe, so that no file is left behind then either.
func (m *member) start(log io.Writer) (cmd *exec.Cmd, parent io.Closer, err error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer read.Close()
	_, err = write.Write(config) // fits the pipe's buffer
	if closeErr := write.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, nil, err
	}
	cmd = exec.Command(m.program, "run", "--with-parent", "--config", "/dev/fd/3")
	cmd.ExtraFiles = []*os.File{read}
	cmd.Env, cmd.Stdout, cmd.Stderr = m.env, log, log
	if parent, err = cmd.StdinPipe(); err != nil {
		return nil, nil, err
	}
	return cmd, parent, cmd.Start()
}

func (m *member) set(p *os.Process) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.process = p
	if p != nil {
		m.starts++
	}
}

// pid returns 0 while the replica is away.
func (m *member) pid() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.process == nil {
		return 0
	}
	return m.process.Pid
}

// kill is kill -9.
func (m *member) kill() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.process != nil {
		_ = m.process.Kill()
	}
}

// newMembers prepares n replicas.
func newMembers(n int, databaseURL, witnessURL string) ([]*member, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own program: %w", err)
	}
	var members []*member
	for i := range n {
		members = append(members, &member{
			number: i + 1, program: program,
			env: append(os.Environ(), "DATABASE_URL="+databaseURL, "WITNESS="+witnessURL),
		})
	}
	return members, nil
}
