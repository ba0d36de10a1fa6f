package replica

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/privatepg"
	"github.com/pgsolo/pgsolo/election"
	"github.com/pgsolo/pgsolo/jobs"
)

// name is one that leads to one server and then to another one: a folder in a URL.
type name struct {
	t    *testing.T
	path string
}

func (n name) leadsTo(server *pgx.Conn) {
	n.t.Helper()
	next := n.path + ".next"
	if err := os.Symlink(server.Config().Host, next); err != nil {
		n.t.Fatal(err)
	}
	if err := os.Rename(next, n.path); err != nil {
		n.t.Fatal(err)
	}
}

// twins are a server and a copy of it, as a replica is that was promoted while the old primary lives.
func twins(t *testing.T) (first, second *pgx.Conn) {
	t.Helper()
	folder, err := os.MkdirTemp("/tmp", "pgsolo-test-") // that of t.TempDir lies in one that other users cannot enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(folder); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	original, replica := filepath.Join(folder, "original"), filepath.Join(folder, "copy")
	unsafe := map[string]string{"fsync": "off"}
	server := pgtest.Server(t, privatepg.Options{Dir: original, Settings: unsafe})
	migrate := pgtest.Migrating(jobs.DefaultSchema, election.Migrate, jobs.Migrate)
	if err := migrate(t.Context(), server.URL("postgres")); err != nil {
		t.Fatal(err)
	}
	if err := server.Halt(t.Context(), privatepg.Fast); err != nil {
		t.Fatal(err)
	}
	if output, err := exec.CommandContext(t.Context(), "cp", "-a", original, replica).CombinedOutput(); err != nil {
		t.Fatalf("copy the data: %v\n%s", err, output)
	}
	if err := server.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	first = pgtest.Connect(t, server.URL("postgres"))
	second = pgtest.Connect(t, pgtest.Server(t, privatepg.Options{Dir: replica, Settings: unsafe}).URL("postgres"))
	if !strings.HasPrefix(first.Config().Host, "/") || !strings.HasPrefix(second.Config().Host, "/") {
		t.Skip("the servers listen on ports, which no folder leads to")
	}
	return first, second
}

// The name in the URL leads to another server while a leader holds the lock on the old one and has some of its sessions
// there: what its next sessions would mark as done in the other one's log, it has not handled.
func TestSessionsOfOneTermOnTwoServers(t *testing.T) {
	t.Parallel()
	old, promoted := twins(t)
	service := name{t, filepath.Join(t.TempDir(), "service")}
	service.leadsTo(old)
	url := "postgres://" + old.Config().User + "@/postgres?host=" + service.path
	marks := filepath.Join(t.TempDir(), "marks")
	src := `
		postgres { url = env("DATABASE_URL") }
		http { listen = "127.0.0.1:0" }
		election "main" { lease = "30s" }
		topic "orders" {}
		handler "h" {
			topic = "orders"
			exec { command = ["sh", "-c", "echo $PGSOLO_EVENT_ID $PGSOLO_TERM >>` + marks + `"] }
		}`
	log := &pgtest.Buffer{}
	ended := runReplica(t, url, src, log)
	emit(t, old, 5)
	pgtest.Eventually(t, "the events of the old server", func() bool { return handled(t, old) == 5 })

	service.leadsTo(promoted)
	emit(t, promoted, 10)
	const endWork = `select pg_terminate_backend(pid) from pg_stat_activity
		where application_name like 'pgsolo main term%' and pid not in
			(select pid from pg_locks where locktype = 'advisory' and classid = 'pgsolo.leader'::regclass)`
	if _, err := old.Exec(t.Context(), endWork); err != nil {
		t.Fatal(err)
	}
	emit(t, old, 5) // which need a session
	pgtest.Eventually(t, "the log to name the other server", func() bool {
		return strings.Contains(log.String(), "leads to more than one server")
	})
	if n := handled(t, promoted); n != 0 {
		t.Errorf("%d events of the other server are done", n)
	}

	// The lock goes, and with it the term: the next one is on the other server, with all of its sessions.
	const endLock = `select pg_terminate_backend(pid) from pg_locks
		where locktype = 'advisory' and classid = 'pgsolo.leader'::regclass`
	if _, err := old.Exec(t.Context(), endLock); err != nil {
		t.Fatal(err)
	}
	if err := pgtest.Within(t, "the end of the leader", ended); err == nil {
		t.Error("the leader has ended without an error")
	}
	runReplica(t, url, src, log)
	pgtest.Eventually(t, "the events of the other server", func() bool { return handled(t, promoted) == 10 })
	text, err := os.ReadFile(marks)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for line := range strings.Lines(string(text)) {
		counts[line]++
	}
	// A session that was being opened may have served the old leader a moment longer, with later ones of its events.
	for id := 1; id <= 10; id++ {
		if n := counts[fmt.Sprintf("%d 1\n", id)]; n < 1 || n > 2 || id <= 5 && n != 2 {
			t.Errorf("the events %d of the two servers were handled %d times in all", id, n)
		}
	}
}

func runReplica(t *testing.T, url, src string, log *pgtest.Buffer) (ended <-chan error) {
	t.Helper()
	env := func(name string) (string, bool) { return url, name == "DATABASE_URL" }
	of, err := config.Parse("config.hcl", []byte(src), env)
	if err != nil {
		t.Fatal(err)
	}
	r, err := New(Options{Config: of, Unhealthy: func(error) {}, Logger: hclog.New(&hclog.LoggerOptions{Output: log})})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	result, over := make(chan error, 1), make(chan struct{})
	go func() { result <- r.Run(ctx); close(over) }()
	t.Cleanup(func() { cancel(); <-over })
	return result
}

func emit(t *testing.T, conn *pgx.Conn, n int) {
	t.Helper()
	const insert = `insert into pgsolo.event (topic, payload) select 'orders', '{}' from generate_series(1, $1)`
	if _, err := conn.Exec(t.Context(), insert, n); err != nil {
		t.Fatal(err)
	}
}

// handled counts the events of a server's log that are done.
func handled(t *testing.T, conn *pgx.Conn) int {
	t.Helper()
	return pgtest.Value[int](t, conn, `select count(*) from pgsolo.event e
		where exists (select from pgsolo.cursor c where c.done @> e.id)`)
}
