package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/fleet"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// process is a pgsolo that a test runs: what fails there fails the test.
type process struct {
	*fleet.Process
	t     *testing.T
	log   output
	ended <-chan struct{} // closed when it has ended
}

// output shows what a process has written up to now.
type output struct{ of *fleet.Process }

func (o output) String() string { return o.of.Output() }

// start runs pgsolo with the arguments and environment until the test ends.
func start(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	return startCommand(t, fleet.Command{Args: args, Env: env})
}

// startCommand runs pgsolo as a command says until the test ends.
func startCommand(t *testing.T, c fleet.Command) *process {
	t.Helper()
	c.Env = append([]string{beProgram + "=1"}, c.Env...)
	started, err := fleet.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{Process: started, t: t, log: output{started}, ended: started.Ended()}
	t.Cleanup(func() {
		p.Close()
		if t.Failed() {
			t.Logf("output of %v:\n%s", c.Args, p.log)
		}
	})
	return p
}

// exit waits for the end and returns the exit code.
func (p *process) exit() int {
	p.t.Helper()
	return p.exitWithin(pgtest.Patience)
}

func (p *process) exitWithin(limit time.Duration) int {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	code, err := p.Exit(ctx)
	if err != nil {
		p.t.Fatalf("%v, output:\n%s", err, p.log)
	}
	return code
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

func (p *process) kill() { p.signal(syscall.SIGKILL) }

func (p *process) freeze() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), pgtest.Patience)
	defer cancel()
	if err := p.Freeze(ctx); err != nil {
		p.t.Fatal(err)
	}
}

func (p *process) thaw() { p.signal(syscall.SIGCONT) }

// get waits until HTTP is served, and returns the status code and the body, or 0 while nothing answers.
func (p *process) get(path string) (int, string) {
	p.t.Helper()
	pgtest.Eventually(p.t, "HTTP", func() bool { return p.Address() != "" })
	code, body, err := p.Get(context.Background(), path)
	if err != nil {
		return 0, err.Error()
	}
	return code, body
}

func (p *process) is(path string) bool {
	code, _ := p.get(path)
	return code == http.StatusOK
}

func (p *process) status() fleet.Status {
	p.t.Helper()
	s, err := p.Status(context.Background())
	if err != nil {
		p.t.Fatal(err)
	}
	return s
}

// calm is an election whose leader a busy machine, which stalls for a second or two, does not make lose its lease.
const calm = `
election "main" {
  lease = "30s"
}
`

// configure writes a configuration for a database and returns its path. Where it says nothing of elections, there is a
// calm one.
func configure(t *testing.T, url, more string) string {
	t.Helper()
	if !strings.Contains(more, `election "`) {
		more = calm + more
	}
	path := filepath.Join(t.TempDir(), "config.hcl")
	text := fmt.Sprintf("postgres {\n  url = %q\n}\nhttp {\n  listen = \"127.0.0.1:0\"\n}\n%s\n", url, more)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// mustContain checks what a person reads.
func mustContain(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("want %q in:\n%s", part, text)
		}
	}
}
