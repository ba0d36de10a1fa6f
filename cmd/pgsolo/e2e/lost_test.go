package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/privatepg"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/replica"
)

// stubborn is a configuration whose handler and cron job run a program that ignores SIGTERM, and appends its term and
// its name to a file as long as it lives.
func stubborn(file string) string {
	command := fmt.Sprintf(`exec {
    command = ["sh", "-c", "trap '' TERM; while :; do echo $PGSOLO_TERM $PGSOLO_NAME >>%s; sleep 0.02; done"]
  }`, file)
	return fmt.Sprintf(`
topic "t" {}
handler "h" {
  topic   = "t"
  timeout = "1h"
  %[1]s
}
cron "c" {
  schedule = "* * * * * *"
  overlap  = "skip"
  timeout  = "1h"
  %[1]s
}`, command)
}

// trail is the file to which programs append.
type trail struct {
	t    *testing.T
	path string
}

// has waits until both programs of a term have left a mark.
func (f trail) has(term int64) {
	f.t.Helper()
	for _, name := range []string{"h", "c"} {
		pgtest.Eventually(f.t, fmt.Sprintf("program %s of term %d", name, term), func() bool {
			text, err := os.ReadFile(f.path)
			return err == nil && strings.Contains(string(text), fmt.Sprintf("%d %s\n", term, name))
		})
	}
}

// late counts the marks of a term after the first one of a later term.
func (f trail) late(term int64) (n int) {
	f.t.Helper()
	text, err := os.ReadFile(f.path)
	if err != nil {
		f.t.Fatal(err)
	}
	later := false
	for line := range strings.Lines(string(text)) {
		var of int64
		if _, err := fmt.Sscan(line, &of); err != nil {
			f.t.Fatalf("mark %q: %v", line, err)
		}
		if of > term {
			later = true
		} else if later {
			n++
		}
	}
	return n
}

// The leader loses its session while programs run that take no SIGTERM. They are killed before those of its successor
// start. Where all of its sessions end at once, the successor has nothing to wait for, and they are killed as soon as
// the old leader sees that: within milliseconds, which is no promise on a busy machine.
func TestProgramsEndWithTheLeadership(t *testing.T) {
	const another = `select pg_terminate_backend(pid) from pg_stat_activity
		where datname = current_database() and pid <> pg_backend_pid()`
	for name, test := range map[string]struct {
		lose func(*replicas, *privatepg.Server)
		late int // at most
	}{
		"the lock session is ended": {func(r *replicas, _ *privatepg.Server) {
			r.exec(`select pg_terminate_backend(pid) from pg_locks
				where locktype = 'advisory' and granted and classid = 'pgsolo.leader'::regclass`)
		}, 0},
		"all its sessions are ended": {func(r *replicas, _ *privatepg.Server) {
			r.exec(another + ` and application_name = 'pgsolo main term 1'`)
		}, 50},
		"the server restarts": {func(r *replicas, server *privatepg.Server) {
			if err := server.Restart(r.t.Context(), privatepg.Immediate); err != nil {
				r.t.Fatal(err)
			}
		}, 0},
		"the server crashes": {func(r *replicas, _ *privatepg.Server) {
			pid := pgtest.Value[int32](r.t, r.conn, `select pg_backend_pid()`)
			if err := syscall.Kill(int(pid), syscall.SIGKILL); err != nil {
				r.t.Fatal(err)
			}
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			server := pgtest.Server(t, privatepg.Options{})
			url := server.URL("postgres")
			if err := replica.Migrate(t.Context(), url, "pgsolo"); err != nil {
				t.Fatal(err)
			}
			f := trail{t, filepath.Join(t.TempDir(), "trail")}
			r := startReplicas(t, url, stubborn(f.path), 2)
			first, term := r.leader(0)
			r.exec(`insert into pgsolo.event (topic) values ('t')`)
			f.has(term)
			for _, p := range r.all {
				pgtest.Eventually(t, "readiness", func() bool { return p.is("/readyz") })
			}
			test.lose(r, server)
			_, next := r.leader(term)
			f.has(next)
			if code := first.exit(); code != 3 {
				t.Errorf("the first leader ended with code %d, want 3", code)
			}
			late := f.late(term)
			t.Logf("%d marks of the first term after those of the next", late)
			if late > test.late {
				t.Errorf("want %d at most", test.late)
			}
		})
	}
}
