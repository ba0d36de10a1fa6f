package privatepg

import (
	"bufio"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

//go:embed supervise.sh
var superviseScript string

// endBound is how long a supervisor may take to end. It is longer than the script's own escalation from a fast shutdown
// to an immediate one and to SIGKILL.
const endBound = 20 * time.Second

// supervisor is the shell that runs PostgreSQL, and the two pipes between it and this process. The kernel closes this
// end of the commands when this process dies, which is what ends PostgreSQL after a kill -9.
type supervisor struct {
	process   *exec.Cmd
	commands  *os.File       // write end; os.Pipe marks it close-on-exec, so no other child keeps it open
	listening sync.WaitGroup // the goroutine that reads the reports

	mu        sync.Mutex // guards what follows
	current   *execution // nil before the first start
	gone      bool       // no process is left that could report
	complaint string     // what the script could not tell in its log
}

// execution is one run of PostgreSQL, with initdb before it where the data folder is new.
type execution struct {
	ended  chan struct{} // closed by the goroutine that reads the reports
	status string        // valid once ended is closed
}

// supervisorArgs is what the script needs to know.
type supervisorArgs struct {
	bin      string   // folder of the programs postgres and initdb
	run      string   // folder that the script makes and removes
	data     string   // data folder, below run for a temporary server
	durable  bool     // initdb syncs what it writes
	settings []string // further arguments for postgres
	lock     *os.File // held open as long as the supervisor or PostgreSQL lives; may be nil
}

// startSupervisor starts the shell in a session of its own, so that a Ctrl-C in the terminal does not reach it.
func startSupervisor(account account, args supervisorArgs) (*supervisor, error) {
	commandsRead, commands, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("open pipe: %w", err)
	}
	defer commandsRead.Close()
	reports, reportsWrite, err := os.Pipe()
	if err != nil {
		commands.Close()
		return nil, fmt.Errorf("open pipe: %w", err)
	}
	defer reportsWrite.Close()

	syncFlag := "--no-sync"
	if args.durable {
		syncFlag = ""
	}
	shellArgs := []string{"-c", `eval "$supervise"`, "pgsolo-postgres", args.bin, args.run, args.data, syncFlag}
	shellArgs = append(shellArgs, args.settings...)
	process := exec.Command("/bin/sh", shellArgs...)
	process.Dir = "/" // a folder that every account can enter
	// As an argument, the script would fill a list of processes.
	process.Env = append(account.environment(), "supervise="+superviseScript)
	process.ExtraFiles = []*os.File{commandsRead, reportsWrite}
	if args.lock != nil {
		process.ExtraFiles = append(process.ExtraFiles, args.lock)
	}
	process.SysProcAttr = account.attributes()
	process.SysProcAttr.Setsid = true
	if err := process.Start(); err != nil {
		commands.Close()
		reports.Close()
		return nil, fmt.Errorf("start supervisor /bin/sh as %s: %w", account, err)
	}
	s := &supervisor{process: process, commands: commands}
	s.listening.Go(func() { s.listen(reports) })
	return s, nil
}

// listen reads reports until neither the shell nor a child that could report is left.
func (s *supervisor) listen(reports *os.File) {
	defer reports.Close()
	lines := bufio.NewScanner(reports)
	for lines.Scan() {
		s.mu.Lock()
		if status, ok := strings.CutPrefix(lines.Text(), "ended "); ok {
			s.current.end("exit status " + status)
		} else {
			s.complaint += lines.Text() + "\n"
		}
		s.mu.Unlock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = true
	s.current.end("its supervisor ended")
}

// end is called by one goroutine only, or before the execution is shared.
func (e *execution) end(status string) {
	if e == nil {
		return
	}
	select {
	case <-e.ended:
	default:
		e.status = status
		close(e.ended)
	}
}

// start orders PostgreSQL to start. It must not be called again before that execution has ended.
func (s *supervisor) start(port int) *execution {
	s.mu.Lock()
	next := &execution{ended: make(chan struct{})}
	s.current = next
	if s.gone {
		next.end("its supervisor ended")
	}
	s.mu.Unlock()
	s.command(fmt.Sprintf("start %d", port))
	return next
}

// command hands a line to the script. A script that is gone shows by the end of its execution, with a reason.
func (s *supervisor) command(line string) {
	_, _ = s.commands.WriteString(line + "\n")
}

func (s *supervisor) complaints() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.TrimSpace(s.complaint)
}

// end closes the pipe and waits until PostgreSQL, the shell and the run folder are gone. It is called once.
func (s *supervisor) end(run string) error {
	s.commands.Close()
	group := -s.process.Process.Pid // the shell leads it
	overdue := time.AfterFunc(endBound, func() { _ = syscall.Kill(group, syscall.SIGKILL) })
	err := s.process.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && !exit.Exited() {
		_ = syscall.Kill(group, syscall.SIGQUIT) // the shell was killed, and PostgreSQL is ours to stop
	}
	s.listening.Wait()
	inTime := overdue.Stop()
	if err := os.RemoveAll(run); err != nil {
		return fmt.Errorf("remove folder %s: %w", run, err)
	}
	if !inTime {
		return fmt.Errorf("stop PostgreSQL: it did not end within %s and was killed", endBound)
	}
	return nil
}
