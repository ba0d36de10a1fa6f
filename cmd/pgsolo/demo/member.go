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

// replica is one `pgsolo run`, started again whenever it ends.
type replica struct {
	number  int
	program string
	env     []string

	mu      sync.Mutex // guards what follows
	process *os.Process
	starts  int
}

// keep runs the replica until stop is closed; then it is told to stop, and killed after a while. log takes what it prints.
func (r *replica) keep(stop <-chan struct{}, log io.Writer) error {
	for {
		cmd, parent, err := r.start(log)
		if err != nil {
			return fmt.Errorf("start replica %d: %w", r.number, err)
		}
		r.set(cmd.Process)
		ended := make(chan struct{})
		go func() {
			_ = cmd.Wait() // killed, most of the time
			close(ended)
		}()
		select {
		case <-ended:
			r.set(nil)
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
func (r *replica) start(log io.Writer) (cmd *exec.Cmd, parent io.Closer, err error) {
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
	cmd = exec.Command(r.program, "run", "--with-parent", "--config", "/dev/fd/3")
	cmd.ExtraFiles = []*os.File{read}
	cmd.Env, cmd.Stdout, cmd.Stderr = r.env, log, log
	if parent, err = cmd.StdinPipe(); err != nil {
		return nil, nil, err
	}
	return cmd, parent, cmd.Start()
}

func (r *replica) set(p *os.Process) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.process = p
	if p != nil {
		r.starts++
	}
}

// pid returns 0 while the replica is away.
func (r *replica) pid() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.process == nil {
		return 0
	}
	return r.process.Pid
}

// kill is kill -9.
func (r *replica) kill() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.process != nil {
		_ = r.process.Kill()
	}
}

// newReplicas prepares n replicas.
func newReplicas(n int, databaseURL, witnessURL string) ([]*replica, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own program: %w", err)
	}
	var replicas []*replica
	for i := range n {
		replicas = append(replicas, &replica{
			number: i + 1, program: program,
			env: append(os.Environ(), "DATABASE_URL="+databaseURL, "WITNESS="+witnessURL),
		})
	}
	return replicas, nil
}
