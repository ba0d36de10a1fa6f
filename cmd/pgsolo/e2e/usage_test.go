package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/command"
)

func TestUsageAndConfiguration(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	write := func(text string) string {
		path := filepath.Join(t.TempDir(), "config.hcl")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const (
		noWork   = "postgres {\n  url = \"postgres://u@127.0.0.1:1/d\"\n}\n"
		mistakes = "postgers {\n}\nhandler \"h\" {\n  topic = \"t\"\n  timeout = \"-1s\"\n}\n"
	)
	for name, test := range map[string]struct {
		args []string
		code int
		want []string
	}{
		"unknown command": {[]string{"rnu"}, command.ExitUsage, []string{`did you mean "run"?`}},
		"unknown flag": {
			[]string{"run", "--cofnig", "x"}, command.ExitUsage, []string{"--cofnig", "pgsolo run --help"},
		},
		"argument": {[]string{"run", "x"}, command.ExitUsage, []string{`got "x"`}},
		"no file":  {[]string{"run", "-c", "absent.hcl"}, command.ExitUsage, []string{"absent.hcl"}},
		"mistakes": {
			[]string{"validate", "-c", write(mistakes)}, command.ExitUsage,
			[]string{"Did you mean postgres?", "^^^^^", "exec"},
		},
		"nothing to run": {[]string{"run", "-c", write(noWork)}, command.ExitUsage, []string{"nothing to run"}},
		"address in use": {
			[]string{"run", "-c", write(fmt.Sprintf("%shttp {\n  listen = %q\n}\n%s", noWork, taken.Addr(), oneCron))},
			command.ExitError, []string{"address already in use"},
		},
		"negative demo":     {[]string{"demo", "--for", "-1s"}, command.ExitUsage, []string{"negative"}},
		"migrate elsewhere": {[]string{"migrate", "-c", write(noWork)}, command.ExitError, []string{"refused"}},
		"version":           {[]string{"version"}, command.ExitDone, []string{"pgsolo "}},
		"help":              {nil, command.ExitDone, []string{"pgsolo demo"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, nil, test.args...)
			if code := p.exit(); code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			mustContain(t, p.log.String(), test.want...)
			if strings.Contains(p.log.String(), "goroutine ") {
				t.Errorf("a stack in:\n%s", p.log)
			}
		})
	}
}
