package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// The schema is dumped while a replica runs, and restored into another database, whose replica goes on where the dump
// was: what the sql handler had handled by then it does not handle again.
func TestDumpAndRestore(t *testing.T) {
	t.Parallel()
	from := pgtest.Database(t)
	conn := pgtest.Connect(t, from)
	major := pgtest.Value[string](t, conn, `select (current_setting('server_version_num')::int / 10000)::text`)
	postgres := func(program string, args ...string) {
		t.Helper()
		if out, err := exec.Command(find(t, major, program), args...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", program, err, out)
		}
	}
	execute(t, conn, `create table pgsolo.effect (event_id bigint)`)
	const work = `
topic "t" {}
handler "h" {
  topic = "t"
  sql {
    statement = "insert into pgsolo.effect values ($1)"
    args      = [event.id]
  }
}`
	old := start(t, nil, "run", "-c", configure(t, from, work))
	execute(t, conn, `select pgsolo.emit('t') from generate_series(1, 100)`)
	pgtest.Eventually(t, "the events", func() bool {
		return pgtest.Value[bool](t, conn, `select count(*) = 100 from pgsolo.effect`)
	})
	file := filepath.Join(t.TempDir(), "pgsolo.dump")
	postgres("pg_dump", "--format=custom", "--schema=pgsolo", "--file="+file, from)
	execute(t, conn, `select pgsolo.emit('t') from generate_series(1, 10)`)
	old.kill()

	to := pgtest.Database(t)
	copied := pgtest.Connect(t, to)
	execute(t, copied, `drop schema pgsolo cascade`)
	postgres("pg_restore", "--dbname="+to, file)
	leader := start(t, nil, "run", "-c", configure(t, to, work))
	execute(t, copied, `select pgsolo.emit('t') from generate_series(1, 10)`)
	pgtest.Eventually(t, "the new events", func() bool {
		return pgtest.Value[bool](t, copied, `select count(distinct event_id) = 110 from pgsolo.effect`)
	})
	if n := pgtest.Value[int](t, copied, `select count(*) from pgsolo.effect`); n != 110 || leader.HasEnded() {
		t.Errorf("%d effects of 110 events", n)
	}

	// The same under a leader and a standby: the leader ends, and the standby goes on with the tables that come.
	standby := start(t, nil, "run", "-c", configure(t, to, work))
	pgtest.Eventually(t, "the standby", func() bool { return standby.is("/readyz") })
	postgres("pg_dump", "--format=custom", "--schema=pgsolo", "--file="+file, to)
	postgres("pg_restore", "--clean", "--if-exists", "--dbname="+to, file)
	if code := leader.exit(); code != 3 {
		t.Errorf("the leader ended with code %d, want 3", code)
	}
	execute(t, copied, `select pgsolo.emit('t') from generate_series(1, 10)`)
	pgtest.Eventually(t, "events after the restore in place", func() bool {
		return pgtest.Value[bool](t, copied, `select count(distinct event_id) = 120 from pgsolo.effect`)
	})
	mustContain(t, standby.log.String(), "waiting until they are there and complete")
}

// find returns where a program of PostgreSQL is, of the server's version: an older one refuses.
func find(t *testing.T, major, program string) string {
	t.Helper()
	for _, folder := range []string{os.Getenv("PGSOLO_PG_BIN"), "/usr/lib/postgresql/" + major + "/bin"} {
		if path := filepath.Join(folder, program); folder != "" && exec.Command(path, "--version").Run() == nil {
			return path
		}
	}
	t.Skipf("there is no %s of version %s", program, major)
	return ""
}
