package fleet

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// shell starts a script until the test ends.
func shell(t *testing.T, script string, change ...func(*Command)) *Process {
	t.Helper()
	c := Command{Program: "/bin/sh", Args: []string{"-c", script}}
	for _, f := range change {
		f(&c)
	}
	p, err := Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func exit(t *testing.T, p *Process) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	code, err := p.Exit(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func TestProcess(t *testing.T) {
	p := shell(t, `cat /dev/fd/3; echo "$FIRST $SECOND" >&2; read -r line; echo "$line"; exit 7`, func(c *Command) {
		c.Config, c.Env = []byte("config\n"), []string{"FIRST=1", "SECOND=2"}
	})
	if _, err := fmt.Fprintln(p.Input(), "input"); err != nil {
		t.Fatal(err)
	}
	if code := exit(t, p); code != 7 || !p.HasEnded() {
		t.Errorf("exit code %d, ended: %v", code, p.HasEnded())
	}
	if diff := cmp.Diff("config\n1 2\ninput\n", p.Output()); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
	if err := p.Kill(); err == nil {
		t.Error("a process that has ended was killed")
	}
}

func TestLinesAreNoOutput(t *testing.T) {
	var lines []string // written before Ended is closed
	p := shell(t, `echo one; echo two; printf three; echo 0123456789 >&2`, func(c *Command) {
		c.Line = func(_ *Process, line string) { lines = append(lines, line) }
		c.Keep = 4
	})
	exit(t, p)
	if diff := cmp.Diff([]string{"one", "two", "three"}, lines); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	if got := p.Output(); got != "789\n" {
		t.Errorf("kept %q", got)
	}
}

func TestFrozenProcessStandsStill(t *testing.T) {
	ran := make(chan struct{}, 1000)
	p := shell(t, `while echo line; do :; done`, func(c *Command) {
		c.Line = func(*Process, string) {
			select {
			case ran <- struct{}{}:
			default:
			}
		}
	})
	<-ran
	if err := p.Freeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("/proc/self/stat"); err == nil && !p.frozen() {
		t.Error("the process runs")
	}
	if err := p.Thaw(); err != nil {
		t.Fatal(err)
	}
	for range cap(ran) + 1 { // more than were waiting
		<-ran
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if code := exit(t, p); code != -1 {
		t.Errorf("exit code %d after kill -9", code)
	}
}

func TestStop(t *testing.T) {
	for name, test := range map[string]struct {
		script string
		within time.Duration
		signal syscall.Signal // that ends it
	}{
		"in time": {`echo up; read -r line`, time.Minute, syscall.SIGTERM},
		"killed":  {`trap '' TERM; echo up; read -r line`, time.Millisecond, syscall.SIGKILL},
	} {
		t.Run(name, func(t *testing.T) {
			up := make(chan struct{})
			p := shell(t, test.script, func(c *Command) { c.Line = func(*Process, string) { close(up) } })
			<-up
			p.Stop(test.within)
			if got := p.cmd.ProcessState.Sys().(syscall.WaitStatus).Signal(); got != test.signal {
				t.Errorf("ended by %s, want %s", got, test.signal)
			}
		})
	}
}

func TestExitIsNotWaitedForWithoutEnd(t *testing.T) {
	p := shell(t, `read -r line`)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Exit(ctx); err == nil {
		t.Error("no error")
	}
}

func TestReplicaReadsItsConfiguration(t *testing.T) {
	c := Replica([]byte("text"), "A=1")
	if !slices.Contains(c.Args, ConfigPath) || string(c.Config) != "text" || !slices.Contains(c.Env, "A=1") {
		t.Errorf("%+v", c)
	}
}

func TestAddress(t *testing.T) {
	p := shell(t, `echo '2026-01-01T00:00:00.000Z [INFO]  pgsolo: serving HTTP: address=127.0.0.1:1'`)
	exit(t, p)
	if got := p.Address(); got != "http://127.0.0.1:1" {
		t.Errorf("address %q", got)
	}
	if _, err := p.Status(t.Context()); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("error %v", err)
	}
	silent := shell(t, `:`)
	if _, _, err := silent.Get(t.Context(), "/livez"); err == nil {
		t.Error("an answer of a process without HTTP")
	}
}
