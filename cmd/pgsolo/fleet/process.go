package fleet

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// ConfigPath is where a process reads Command.Config.
const ConfigPath = "/dev/fd/3"

// Command says what a process runs.
type Command struct {
	Program string   // default: this process's own file
	Args    []string // without the program's name
	Env     []string // in addition to this process's own
	Config  []byte   // what ConfigPath has; at most 64 KiB, which is a pipe's buffer, so that no file is left behind

	// Line gets each line of the standard output, which is then no part of Output. It is called by one goroutine, for
	// the last time before Ended is closed.
	Line func(p *Process, line string)

	Stderr *os.File // takes the standard error, which is then no part of Output; the caller closes it

	Keep int                  // how many bytes of the output are kept, the latest ones; default: all
	Attr *syscall.SysProcAttr // default: none
}

// Replica is the command of a replica that reads its configuration from ConfigPath, and ends with this process.
func Replica(config []byte, env ...string) Command {
	return Command{Args: []string{"run", "--with-parent", "--config", ConfigPath}, Env: env, Config: config}
}

// Process is a process that was started. Its methods may be called at any time by several goroutines.
type Process struct {
	cmd    *exec.Cmd
	input  io.WriteCloser
	output output
	ended  chan struct{} // closed when it has ended
}

// Start starts a process. The caller ends it.
func Start(c Command) (*Process, error) {
	if c.Program == "" {
		own, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find own program: %w", err)
		}
		c.Program = own
	}
	p := &Process{cmd: exec.Command(c.Program, c.Args...), output: output{keep: c.Keep}, ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), c.Env...)
	p.cmd.SysProcAttr = c.Attr
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	var lines *lineWriter
	if c.Line != nil {
		lines = &lineWriter{line: func(text string) { c.Line(p, text) }}
		p.cmd.Stdout = lines
	}
	if c.Stderr != nil {
		p.cmd.Stderr = c.Stderr
	}
	if c.Config != nil {
		file, err := pipeOf(c.Config)
		if err != nil {
			return nil, fmt.Errorf("hand over the configuration: %w", err)
		}
		defer file.Close()
		p.cmd.ExtraFiles = []*os.File{file}
	}
	var err error
	if p.input, err = p.cmd.StdinPipe(); err != nil { // Wait closes it
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", strings.Join(c.Args, " "), err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // ExitCode tells; killed, most of the time
		if lines != nil {
			lines.flush()
		}
	}()
	return p, nil
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

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Input is the process's standard input.
func (p *Process) Input() io.WriteCloser { return p.input }

// Output is what the process has written up to now, of which Command.Keep is kept.
func (p *Process) Output() string { return p.output.String() }

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// HasEnded says whether the process has ended.
func (p *Process) HasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// Exit waits for the end, and returns the exit code, -1 for a process that a signal ended. It returns an error if ctx
// ends first.
func (p *Process) Exit(ctx context.Context) (code int, err error) {
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("wait for the end of process %d: %w", p.PID(), context.Cause(ctx))
	}
}

// Signal sends a signal. It returns os.ErrProcessDone if the process has ended.
func (p *Process) Signal(s os.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("signal process %d: %w", p.PID(), err)
	}
	return nil
}

// Kill is kill -9. It does not wait for the end.
func (p *Process) Kill() error { return p.Signal(syscall.SIGKILL) }

// Close is kill -9, unless the process has ended already, and waits for the end.
func (p *Process) Close() {
	_ = p.Kill()
	<-p.ended
}

// Stop is SIGTERM, and kill -9 if the process has not ended by then. It waits for the end.
func (p *Process) Stop(within time.Duration) {
	_ = p.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(within):
		p.Close()
	}
}
