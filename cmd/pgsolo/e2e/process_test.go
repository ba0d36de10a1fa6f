package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/election"
)

// process is a pgsolo that a test runs.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	log   *syncBuffer
	ended chan struct{} // closed when it has ended
}

// syncBuffer is a buffer that a process writes and a test reads.
type syncBuffer struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// start runs pgsolo with the arguments and environment until the test ends.
func start(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(os.Args[0], args...), log: &syncBuffer{}, ended: make(chan struct{})}
	p.cmd.Env = append(append(os.Environ(), beProgram+"=1"), env...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
		if t.Failed() {
			t.Logf("output of %v:\n%s", args, p.log)
		}
	})
	return p
}

// patience is how long a test waits for what must happen, on however busy a machine.
const patience = time.Minute

// exit waits for the end and returns the exit code.
func (p *process) exit() int {
	p.t.Helper()
	return p.exitWithin(patience)
}

func (p *process) exitWithin(limit time.Duration) int {
	p.t.Helper()
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(limit):
		p.t.Fatalf("waited too long for the end of pgsolo, output:\n%s", p.log)
		panic("unreachable")
	}
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

func (p *process) kill() { p.signal(syscall.SIGKILL) }

var servingHTTP = regexp.MustCompile(`serving HTTP: address=(\S+)`)

// address waits until HTTP is served and returns its URL.
func (p *process) address() string {
	p.t.Helper()
	var url string
	eventually(p.t, "HTTP", func() bool {
		if match := servingHTTP.FindStringSubmatch(p.log.String()); match != nil {
			url = "http://" + match[1]
		}
		return url != ""
	})
	return url
}

// get returns the status code and the body, or 0 while nothing answers.
func (p *process) get(path string) (int, string) {
	p.t.Helper()
	response, err := http.Get(p.address() + path)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(body)
}

func (p *process) is(path string) bool {
	code, _ := p.get(path)
	return code == http.StatusOK
}

type status struct {
	Election, Holder string
	Role             election.Role
	Term             int64
	Since            time.Time
	Build            struct{ Version, Go string }
}

func (p *process) status() (s status) {
	p.t.Helper()
	code, body := p.get("/v1/status")
	if code != http.StatusOK {
		p.t.Fatalf("/v1/status: %d %s", code, body)
	}
	if err := json.Unmarshal([]byte(body), &s); err != nil {
		p.t.Fatalf("%v in %s", err, body)
	}
	return s
}

// calm is an election whose leader a busy machine, which stalls for a second or two, does not make lose its lease.
const calm = `
election "main" {
  lease = "30s"
}
`

// configure writes a configuration for a database and returns its path. Where it says nothing of elections, there is a calm one.
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

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(patience)
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("waited too long for %s", what)
		}
	}
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
