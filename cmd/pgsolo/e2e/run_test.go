package e2e

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/command"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/privatepg"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/replica"
)

const oneCron = `
cron "c" {
  schedule = "@daily"
  exec { command = ["true"] }
}`

// An event begun before the signal is finished within the drain, and the lock is given back.
func TestPlannedStop(t *testing.T) {
	t.Run("SIGTERM", func(t *testing.T) { t.Parallel(); testPlannedStop(t, syscall.SIGTERM) })
	t.Run("SIGHUP", func(t *testing.T) {
		t.Parallel()
		if signal.Ignored(syscall.SIGHUP) {
			t.Skip("the tests run under nohup, and what they start does not notice SIGHUP either")
		}
		testPlannedStop(t, syscall.SIGHUP)
	})
}

func testPlannedStop(t *testing.T, stop syscall.Signal) {
	url := pgtest.Database(t)
	begun, release := make(chan struct{}), make(chan struct{})
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(begun)
		<-release
	}))
	finish := sync.OnceFunc(func() { close(release) })
	t.Cleanup(receiver.Close)
	t.Cleanup(finish)
	p := start(t, nil, "run", "-c", configure(t, url, `
topic "t" {}
handler "h" {
  topic = "t"
  webhook { url = "`+receiver.URL+`" }
}`))
	conn := pgtest.Connect(t, url)
	if _, err := conn.Exec(t.Context(), `insert into pgsolo.event (topic) values ('t')`); err != nil {
		t.Fatal(err)
	}
	<-begun
	p.signal(stop)
	pgtest.Eventually(t, "the stop to begin", func() bool { return strings.Contains(p.log.String(), "stopping") })
	if !p.is("/leader") {
		t.Error("a leader that drains no longer answers that it leads")
	}
	finish()
	if code := p.exit(); code != command.ExitDone {
		t.Errorf("exit code %d, want %d", code, command.ExitDone)
	}
	var done, clean bool
	const selectEnd = `select done = '{[1,2)}', clean from pgsolo.cursor, pgsolo.leader`
	if err := conn.QueryRow(t.Context(), selectEnd).Scan(&done, &clean); err != nil {
		t.Fatal(err)
	}
	if !done || !clean {
		t.Errorf("event done: %v, resigned: %v; want both", done, clean)
	}
	if strings.Contains(p.log.String(), "[ERROR]") {
		t.Error("a planned stop logged an error")
	}
}

func TestSecondSignalExitsAtOnce(t *testing.T) {
	url := pgtest.Database(t)
	folder := t.TempDir()
	p := start(t, nil, "run", "-c", configure(t, url, `
cron "endless" {
  schedule = "* * * * * *"
  exec { command = ["/bin/sh", "-c", "touch `+folder+`/begun; trap '' TERM; while :; do sleep 1; done"] }
}`))
	pgtest.Eventually(t, "the job to begin", func() bool {
		_, err := os.Stat(filepath.Join(folder, "begun"))
		return err == nil
	})
	p.signal(syscall.SIGINT)
	pgtest.Eventually(t, "the stop to begin", func() bool { return strings.Contains(p.log.String(), "stopping") })
	pgtest.Eventually(t, "the second signal to end it", func() bool { // one that follows at once counts as the same
		_ = p.Signal(syscall.SIGINT)
		return isClosed(p.ended)
	})
	if code := p.exit(); code != command.ExitError {
		t.Errorf("exit code %d, want %d", code, command.ExitError)
	}
}

func TestLostLeadershipIsExitCode3(t *testing.T) {
	url := pgtest.Database(t)
	p := start(t, nil, "run", "-c", configure(t, url, oneCron))
	pgtest.Eventually(t, "leader", func() bool { return p.is("/leader") })
	if _, err := pgtest.Connect(t, url).Exec(t.Context(), `select pg_terminate_backend(pid) from pg_locks
		where locktype = 'advisory' and granted
			and database = (select oid from pg_database where datname = current_database())`); err != nil {
		t.Fatal(err)
	}
	if code := p.exit(); code != command.ExitUnhealthy {
		t.Errorf("exit code %d, want %d", code, command.ExitUnhealthy)
	}
	mustContain(t, p.log.String(), "leadership lost")
}

func TestHTTP(t *testing.T) {
	url := pgtest.Database(t)
	path := configure(t, url, oneCron)
	leader := start(t, nil, "run", "-c", path)
	pgtest.Eventually(t, "leader", func() bool { return leader.is("/leader") })
	standby := start(t, nil, "run", "-c", path)
	pgtest.Eventually(t, "standby", func() bool { return standby.is("/standby") })
	for _, p := range []*process{leader, standby} {
		if !p.is("/livez") || !p.is("/readyz") {
			t.Error("not live or not ready")
		}
	}
	if leader.is("/standby") || standby.is("/leader") {
		t.Error("a replica is both")
	}
	own, known := leader.status(), standby.status()
	if own.Term != 1 || known.Term != 1 || own.Holder == "" || known.Holder != own.Holder || own.Since.IsZero() ||
		own.Election != "main" || own.Build.Go == "" {
		t.Errorf("status of the leader %+v, of the standby %+v", own, known)
	}
	_, metrics := leader.get("/metrics")
	mustContain(t, metrics, `leader_election_master_status{name="main"} 1`, "pgsolo_build_info{")
	_, metrics = standby.get("/metrics")
	mustContain(t, metrics, `leader_election_master_status{name="main"} 0`)
}

// A database that is out of reach is waited for, alive but not ready; what no waiting mends ends the program.
func TestDatabaseOutOfReach(t *testing.T) {
	server := pgtest.Server(t, privatepg.Options{TCP: true})
	address := server.URL("postgres")
	if err := replica.Migrate(t.Context(), address, "pgsolo"); err != nil {
		t.Fatal(err)
	}
	if err := server.Halt(t.Context(), privatepg.Fast); err != nil {
		t.Fatal(err)
	}
	p := start(t, nil, "run", "-c", configure(t, address, oneCron))
	pgtest.Eventually(t, "a first try", func() bool { return strings.Contains(p.log.String(), "trying again") })
	if !p.is("/livez") || p.is("/readyz") {
		t.Error("want live and not ready while the database is down")
	}
	if err := server.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	pgtest.Eventually(t, "leader", func() bool { return p.is("/leader") && p.is("/readyz") })
	if n := strings.Count(p.log.String(), "trying again"); n != 1 {
		t.Errorf("%d lines about the outage, want one", n)
	}

	for name, test := range map[string]struct {
		change func(*url.URL)
		want   string
	}{
		"password": {
			func(u *url.URL) { u.User = url.UserPassword(u.User.Username(), "hunter2") },
			"password authentication failed",
		},
		"database": {func(u *url.URL) { u.Path = "/absent" }, `absent\" does not exist`},
		"schema":   {func(u *url.URL) { u.Path = "/template1" }, "run 'pgsolo migrate'"},
	} {
		t.Run(name, func(t *testing.T) {
			u, err := url.Parse(address)
			if err != nil {
				t.Fatal(err)
			}
			test.change(u)
			p := start(t, nil, "run", "-c", configure(t, u.String(), oneCron))
			if code := p.exit(); code != command.ExitError {
				t.Errorf("exit code %d, want %d", code, command.ExitError)
			}
			mustContain(t, p.log.String(), test.want)
			if strings.Contains(p.log.String(), "hunter2") || strings.Contains(p.log.String(), "goroutine") {
				t.Error("the output has the password or a stack")
			}
		})
	}
}

func TestDev(t *testing.T) {
	t.Parallel()
	p := start(t, nil, "dev", "-c", configure(t, "postgres://nobody@127.0.0.1:1/none", "topic \"t\" {}\n"+oneCron))
	pgtest.Eventually(t, "leader", func() bool { return p.is("/leader") })
	pid := strconv.Itoa(p.PID())
	if holder := p.status().Holder; !strings.HasSuffix(holder, "/"+pid) {
		t.Errorf("holder %q, want process %s", holder, pid)
	}
	p.signal(syscall.SIGINT)
	if code := p.exit(); code != command.ExitDone {
		t.Errorf("exit code %d, want %d", code, command.ExitDone)
	}
	mustContain(t, p.log.String(), "psql 'postgres", "insert into pgsolo.event (topic, payload) values ('t'")
}

func TestDemo(t *testing.T) {
	t.Parallel()
	p := start(t, nil, "demo", "--for", "8s") // the first kill comes after 3.5 s at the latest
	if code := p.exitWithin(2 * pgtest.Patience); code != command.ExitDone {
		t.Errorf("exit code %d, want %d", code, command.ExitDone)
	}
	mustContain(t, p.log.String(),
		"leader killed; term 2 leads after", "Summary", " 0 lost", " 0 doubled, 0 missed", " 0 overlaps")
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
