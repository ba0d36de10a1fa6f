package bench

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
)

// child is a process of this program. Its standard input is a pipe whose end is its end, so that it lives no longer than this
// process, however this one ends.
type child struct {
	cmd   *exec.Cmd
	stdin io.Closer
	says  *tail         // what it writes to its standard error
	ended chan struct{} // closed when it has ended
}

// start runs this program with the arguments. Each line of its standard output goes to line, in a goroutine that kill waits
// for. config, if there is one, is what the child reads from /dev/fd/3.
func (r *run) start(line func(*child, string), config []byte, env []string, args ...string) (*child, error) {
	c := &child{cmd: exec.Command(r.program, args...), says: &tail{}, ended: make(chan struct{})}
	c.cmd.Env = append(append(os.Environ(), "DATABASE_URL="+r.url), env...)
	c.cmd.Stderr = c.says
	if config != nil {
		file, err := pipeOf(config)
		if err != nil {
			return nil, fmt.Errorf("hand over the configuration: %w", err)
		}
		defer file.Close()
		c.cmd.ExtraFiles = []*os.File{file}
	}
	stdin, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", strings.Join(args, " "), err)
	}
	c.stdin = stdin
	go func() {
		defer close(c.ended)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			line(c, lines.Text())
		}
		_ = c.cmd.Wait() // killed, most of the time
	}()
	return c, nil
}

// pipeOf returns the read end of a pipe that holds text, which fits the pipe's buffer.
func pipeOf(text []byte) (*os.File, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	_, err = write.Write(text)
	if closeErr := write.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		read.Close()
		return nil, err
	}
	return read, nil
}

// kill is kill -9, unless it has ended already, and waits for the end.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	<-c.ended
	c.stdin.Close()
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex // guards text
	text []byte
}

func (t *tail) Write(p []byte) (int, error) {
	const kept = 2000 // bytes
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	t.text = t.text[max(0, len(t.text)-kept):]
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
