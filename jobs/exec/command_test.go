//go:build unix

package exec

import (
	"bytes"
	"context"
	"errors"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/jobs"
)

func TestRun(t *testing.T) {
	large := bytes.Repeat([]byte("x"), 1<<20)
	for name, test := range map[string]struct {
		command Command
		body    []byte
		want    string // the error; empty for success
	}{
		"success":           {command: sh("echo fine")},
		"program from PATH": {command: Command{Args: []string{"true"}}},
		"body on stdin": {
			command: sh("cat; exit 3"), body: []byte(`{"id": 1}`), want: `run /bin/sh: exit status 3: {"id": 1}`,
		},
		"empty body": {command: sh("cat; exit 3"), want: "run /bin/sh: exit status 3"},
		"large body read": {
			command: sh("wc -c | tr -d ' '; exit 1"), body: large, want: "run /bin/sh: exit status 1: 1048576",
		},
		"large body not read": {command: sh("exit 0"), body: large},
		"stdin closed early":  {command: sh("exec <&-; exit 0"), body: large},
		"standard error": {
			command: sh("echo out; echo err >&2; exit 1"), want: "run /bin/sh: exit status 1: out\nerr",
		},
		"signal": {command: sh("kill -9 $$"), want: "run /bin/sh: signal: killed"},
		"output is made printable": {
			command: sh(`printf 'a\000b\377\033[1m'; exit 1`),
			want:    "run /bin/sh: exit status 1: a\uFFFDb\uFFFD\uFFFD[1m",
		},
		"arguments are not in errors": {
			command: Command{Args: []string{shell, "-c", "exit 1", "--password=hunter2"}},
			want:    "run /bin/sh: exit status 1",
		},
		"directory": {
			command: Command{Args: []string{shell, "-c", "pwd; exit 1"}, Dir: "/"},
			want:    "run /bin/sh: exit status 1: /",
		},
		"invalid command is not run": {
			command: Command{}, want: "command: Args is empty: its first element names the program",
		},
		"program that is no program": {command: Command{Args: []string{notExecutable(t)}}, want: "permission denied"},
		"output of a background child": {
			command: sh("(echo late) & wait; exit 1"), want: "run /bin/sh: exit status 1: late",
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := test.command.Run(t.Context(), jobs.Invocation{Body: test.body})
			switch {
			case test.want == "" && err != nil:
				t.Errorf("Run = %q, want success", err)
			case test.want != "" && (err == nil || !strings.HasSuffix(err.Error(), test.want)):
				t.Errorf("Run = %v, want %q", err, test.want)
			}
		})
	}
}

func TestExitErrorIsWrapped(t *testing.T) {
	err := sh("exit 7").Run(t.Context(), jobs.Invocation{})
	if exit, ok := errors.AsType[*osexec.ExitError](err); !ok || exit.ExitCode() != 7 {
		t.Errorf("Run = %v, want an ExitError with status 7", err)
	}
}

func TestFloodOfOutput(t *testing.T) {
	command := sh("yes 0123456789abcdef | head -c 30000000; echo; echo the end; exit 1")
	err := command.Run(t.Context(), jobs.Invocation{})
	if err == nil || !strings.HasSuffix(err.Error(), "\nthe end") {
		t.Fatalf("Run = %v, want the end of the output", err)
	}
	if length := len(err.Error()); length > outputKept+100 {
		t.Errorf("the error has %d bytes, want about %d", length, outputKept)
	}
	if !strings.Contains(err.Error(), ": …") {
		t.Errorf("the error does not show that output is missing: %.80q", err)
	}
}

func TestOutputIsLogged(t *testing.T) {
	var log bytes.Buffer
	command := sh(`printf 'first\nsecond\n\nlast'`)
	command.Logger = hclog.New(&hclog.LoggerOptions{Output: &log, Level: hclog.Debug, DisableTime: true})
	if err := command.Run(t.Context(), jobs.Invocation{Name: "report", Attempt: 2}); err != nil {
		t.Fatal(err)
	}
	want := `[DEBUG] command wrote: attempt=2 name=report line=first
[DEBUG] command wrote: attempt=2 name=report line=second
[DEBUG] command wrote: attempt=2 name=report line=last
`
	if log.String() != want {
		t.Errorf("log:\n%swant:\n%s", log.String(), want)
	}
}

// The scripts sleep in the background and wait for that, because a shell that gets a signal just before it starts a
// foreground program runs its trap only after the program's end.
func TestContextEndsCommand(t *testing.T) {
	const outlive = "while kill -0 $$ 2>&-; do :; done" // $$ is the program itself, also in a subshell
	const sleep = "sleep 1000 >/dev/null 2>&1 & echo ready >$FIFO; wait"
	for name, test := range map[string]struct {
		script string
		grace  time.Duration
		want   string
	}{
		"SIGTERM ends it":     {script: sleep, want: "signal: terminated"},
		"SIGTERM is ignored":  {script: "trap '' TERM; " + sleep, grace: time.Millisecond, want: "signal: killed"},
		"SIGTERM is answered": {script: "trap 'echo bye; exit 0' TERM; " + sleep, want: "exit status 0: bye"},
		"grace after program": {
			script: "(trap '" + outlive + "; echo saved | cat | cat; exit' TERM; " + sleep + ") & wait",
			want:   "signal: terminated: saved",
		},
		"output closed already": {
			script: "exec >/dev/null 2>&1; trap '' TERM; " + sleep, grace: time.Millisecond, want: "signal: killed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			fifo := newFIFO(t)
			command := sh(test.script)
			command.Env = map[string]string{"FIFO": fifo.path}
			command.Grace = test.grace

			cause := errors.New("leadership lost")
			ctx, cancel := context.WithCancelCause(t.Context())
			result := make(chan error, 1)
			go func() { result <- command.Run(ctx, jobs.Invocation{}) }()
			fifo.waitReady(t)
			cancel(cause)

			err := <-result
			want := "run /bin/sh: leadership lost, then " + test.want
			if !errors.Is(err, cause) || err.Error() != want {
				t.Errorf("Run = %v, want %s", err, want)
			}
		})
	}
}

func TestContextEndedBefore(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	mark := filepath.Join(t.TempDir(), "mark")
	if err := sh("touch "+mark).Run(ctx, jobs.Invocation{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v, want context.Canceled", err)
	}
	if found, _ := filepath.Glob(mark); found != nil {
		t.Error("the command ran")
	}
}

// BenchmarkRun shows what the process group adds to a bare start of the same program.
func BenchmarkRun(b *testing.B) {
	command := Command{Args: []string{"true"}}
	bare := time.Now()
	for range 100 {
		if err := osexec.Command("true").Run(); err != nil {
			b.Fatal(err)
		}
	}
	perBare := time.Since(bare) / 100
	for b.Loop() {
		if err := command.Run(b.Context(), jobs.Invocation{}); err != nil {
			b.Fatal(err)
		}
	}
	perRun := b.Elapsed() / time.Duration(b.N)
	b.ReportMetric(float64(perRun)/float64(perBare), "x-bare-start")
	b.ReportMetric(float64(perBare), "ns/bare-start")
}
