//go:build unix

package exec

import (
	"context"
	"errors"
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/jobs"
)

const defaultGrace = 5 * time.Second

// Command is a program to run for an event or a tick. It holds no state: one Command may run many times at once.
type Command struct {
	// Args are the program and its arguments, and are required. The program is looked up in this process's PATH, not in
	// one that Env sets, unless it has a slash; a relative path is relative to Dir. There is no shell: for one, name
	// it.
	Args []string

	Env    map[string]string // added to the environment; see the package's documentation
	Dir    string            // where the program starts; default: this process's working directory
	Grace  time.Duration     // from SIGTERM to SIGKILL once the context ended, while jobs.Over lasts; default 5 s
	Logger hclog.Logger      // gets each line of output at debug level; default: none
}

// Validate names the field that is wrong, in a *jobs.FieldError. It never prints a value of Env, nor an argument after
// the first.
func (c Command) Validate() error {
	if len(c.Args) == 0 || c.Args[0] == "" {
		return wrong("Args", "is empty: its first element names the program")
	}
	for i, arg := range c.Args {
		if strings.ContainsRune(arg, 0) {
			return wrong(fmt.Sprintf("Args[%d]", i), "has a NUL byte, which no argument can carry")
		}
	}
	for name, value := range c.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			return wrong("Env", "has the name %q: a name is not empty and has no '=' and no NUL byte", name)
		}
		if strings.ContainsRune(value, 0) {
			return wrong(fmt.Sprintf("Env[%q]", name), "has a NUL byte, which no environment variable can carry")
		}
	}
	if c.Grace < 0 {
		return wrong("Grace", "is %s: it must not be negative", c.Grace)
	}
	if c.Dir != "" {
		if info, err := os.Stat(c.Dir); err != nil {
			return fmt.Errorf("command: find %w", jobs.NewFieldError("Dir", ": %w", err))
		} else if !info.IsDir() {
			return wrong("Dir", "%q is not a directory", c.Dir)
		}
	}
	return c.findProgram()
}

func wrong(field, format string, args ...any) error {
	return fmt.Errorf("command: %w", jobs.NewFieldError(field, format, args...))
}

func (c Command) findProgram() error {
	program := c.Args[0]
	if strings.ContainsRune(program, '/') && !filepath.IsAbs(program) {
		program = filepath.Join(c.Dir, program)
		if !filepath.IsAbs(program) {
			program = "./" + program // Join drops it, and without a slash the name would be looked up in PATH
		}
	}
	if _, err := osexec.LookPath(program); err != nil {
		return fmt.Errorf("command: find program %w", jobs.NewFieldError("Args[0]", ": %w", err))
	}
	if _, err := osexec.LookPath(shell); err != nil {
		return fmt.Errorf("command: find the shell that every command needs: %w", err)
	}
	return nil
}

// Run runs the program and waits for its end. It is a jobs.Action. The error wraps the cause of ctx if that ended
// first, and *os/exec.ExitError if the program failed by itself.
func (c Command) Run(ctx context.Context, invocation jobs.Invocation) error {
	if err := c.Validate(); err != nil {
		return err
	}
	name := c.Args[0]
	if ctx.Err() != nil {
		return fmt.Errorf("start %s: %w", name, context.Cause(ctx))
	}

	cmd := osexec.Command(name, c.Args[1:]...)
	cmd.Dir = c.Dir
	env, err := c.environ(cmd.Environ(), invocation)
	if err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	cmd.Env = env

	members, err := startGroup()
	if err != nil {
		return fmt.Errorf("start %s: %w", name, jobs.Starved(err))
	}
	defer members.end()
	cmd.SysProcAttr = members.join()

	written := output{logger: c.outputLogger(invocation), report: invocation.Report}
	// Whoever called has asked, too. The process may have been frozen since, and have started a shell meanwhile.
	if !jobs.Held(ctx) {
		return fmt.Errorf("start %s: %w", name, c.lost(ctx))
	}
	program, err := start(cmd, invocation.Body, &written)
	if err != nil {
		return fmt.Errorf("start %s: %w", name, jobs.Starved(err))
	}

	var stopped error
	over := jobs.Over(ctx)
	select {
	case <-program.exited:
	case <-over:
		stopped = errOver
	case <-ctx.Done():
		stopped = context.Cause(ctx)
		members.terminate(over)
		program.wait(c.grace(), over)
	}
	members.end()
	exit := program.join()
	written.finish()
	if code := cmd.ProcessState.ExitCode(); code >= 0 { // after a signal there is none
		invocation.Report.SetExitCode(code)
	}

	if stopped == errOver && ctx.Err() != nil { // both were there, and either may be taken first
		stopped = context.Cause(ctx)
	}
	if stopped != nil {
		return fmt.Errorf("run %s: %w, then %s%s", name, stopped, cmd.ProcessState, written.quote())
	}
	if exit != nil {
		return fmt.Errorf("run %s: %w%s", name, exit, written.quote())
	}
	return nil
}

// errOver stands in for the cause of a context that lasts on.
var errOver = errors.New("the leadership is over")

// lost waits for the context of a leadership that is not held any more to end, and returns why it did: an attempt that
// ends without that would count as failed.
func (c Command) lost(ctx context.Context) error {
	timer := time.NewTimer(c.grace())
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return errOver
	}
}

func (c Command) grace() time.Duration {
	if c.Grace == 0 {
		return defaultGrace
	}
	return c.Grace
}

// outputLogger is nil where the lines would not be logged, so that a flood of output is not cut into lines for nothing.
func (c Command) outputLogger(invocation jobs.Invocation) hclog.Logger {
	if c.Logger == nil || !c.Logger.IsDebug() {
		return nil
	}
	return c.Logger.With("name", invocation.Name, "attempt", invocation.Attempt)
}
