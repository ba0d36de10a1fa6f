package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/command"
)

func TestValidate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.hcl")
	text := "postgres {\n  url = \"postgres://u@127.0.0.1:1/d\"\n}\n" +
		`cron "backup" {
  schedule  = "30 2 * * *"
  time_zone = "Europe/Berlin"
  exec {
    command = ["/bin/ls"]
  }
}
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		args []string
		code int
		want []string
	}{
		"now": {nil, command.ExitDone, []string{
			"is valid: 1 election, 0 topics, 0 handlers, 1 cron job.\n\ncron \"backup\"", " 02:30 CE",
		}},
		"an instant": {
			[]string{"--at", "2026-03-29T00:00:00+01:00"}, command.ExitDone,
			[]string{"  Sun 2026-03-29 03:00 CEST  moved"},
		},
		"no instant": {
			[]string{"--at", "tomorrow"}, command.ExitUsage, []string{`--at "tomorrow"`, "2027-03-27T00:00:00Z"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, []string{"TZ=Asia/Tokyo"}, append([]string{"validate", "-c", path}, test.args...)...)
			if code := p.exit(); code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			mustContain(t, p.log.String(), test.want...)
		})
	}
}

// Many handlers of sql are told that they will share sessions.
func TestValidateCountsSessions(t *testing.T) {
	var more strings.Builder
	more.WriteString("topic \"t\" {}\n")
	for n := range 100 {
		fmt.Fprintf(&more, "handler \"h%d\" {\n  topic = \"t\"\n  sql { statement = \"select 1\" }\n}\n", n)
	}
	p := start(t, nil, "validate", "-c", configure(t, "postgres://u@127.0.0.1:1/d", more.String()))
	if code := p.exit(); code != command.ExitDone {
		t.Errorf("exit code %d", code)
	}
	mustContain(t, p.log.String(), "could use 119 sessions", "take turns with 20")
}
