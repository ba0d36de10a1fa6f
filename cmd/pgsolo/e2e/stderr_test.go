package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/command"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/fleet"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// unread is a leader of term 1 whose standard error is a pipe that nothing reads.
type unread struct {
	*process
	stderr *fifo
	conn   *pgx.Conn
}

// startUnread starts a replica, and waits until it leads.
func startUnread(t *testing.T, more string) unread {
	t.Helper()
	url := pgtest.Database(t)
	u := unread{stderr: newFifo(t), conn: pgtest.Connect(t, url)}
	path := configure(t, url, "log {\n  level = \"debug\"\n}\n"+more)
	u.process = startCommand(t, fleet.Command{Args: []string{"run", "-c", path}, Stderr: u.stderr.write})
	pgtest.Eventually(t, "leader", func() bool {
		return u.value(`select count(*) from pgsolo.leader where term = 1`) == 1
	})
	return u
}

func (u unread) exec(sql string, args ...any) {
	u.t.Helper()
	if _, err := u.conn.Exec(u.t.Context(), sql, args...); err != nil {
		u.t.Fatal(err)
	}
}

// value reads one number.
func (u unread) value(sql string, args ...any) (n int64) {
	u.t.Helper()
	if err := u.conn.QueryRow(u.t.Context(), sql, args...).Scan(&n); err != nil {
		u.t.Fatal(err)
	}
	return n
}

const (
	// lockSession is the session of the leader that holds the lock.
	lockSession = ` from pg_locks join pg_stat_activity using (pid)
		where locktype = 'advisory' and granted and classid = 'pgsolo.leader'::regclass
			and database = (select oid from pg_database where datname = current_database())`

	resigned = `select count(*) from pgsolo.leadership where term = 1 and ended like 'resigned%'`
)

// refusing handles the events of topic t at a witness, and never those of topic u.
func refusing(at *witness) string {
	return fmt.Sprintf(`
topic "t" {}
topic "u" {}
handler "h" {
  topic = "t"
  webhook { url = %[1]q }
}
handler "refused" {
  topic = "u"
  retry { backoff = "10ms" }
  webhook { url = "http://127.0.0.1:1" }
}`, at.URL)
}

// failOnce lets the handler of topic u fail, which is a line in the log, and waits until that was written down.
func (u unread) failOnce() {
	u.t.Helper()
	u.exec(`insert into pgsolo.event (topic) values ('u')`)
	pgtest.Eventually(u.t, "a failure", func() bool { return u.value(`select count(*) from pgsolo.delivery`) > 0 })
}

// A log that takes no line holds nothing up: events are handled, pings are sent, and SIGTERM drains and resigns.
func TestFullStderrHoldsNothingUp(t *testing.T) {
	t.Parallel()
	begun, release := make(chan struct{}), make(chan struct{})
	seen := startWitness(t, func(r *http.Request, c fleet.Call) int {
		if c.Event == 22 {
			close(begun)
			<-release
		}
		return http.StatusOK
	})
	u := startUnread(t, `
election "main" {
  lease = "10s"
}`+refusing(seen))
	u.stderr.fill()
	u.failOnce()
	u.exec(`insert into pgsolo.event (topic) select 't' from generate_series(1, 20)`)
	pgtest.Eventually(t, "events", func() bool { return seen.events() == 20 })
	var from time.Time
	if err := u.conn.QueryRow(t.Context(), `select clock_timestamp()`).Scan(&from); err != nil {
		t.Fatal(err)
	}
	pgtest.Eventually(t, "pings", func() bool { // every 2 s
		return u.value(`select count(*)`+lockSession+` and state_change > $1::timestamptz + '3s'`, from) == 1
	})
	u.exec(`insert into pgsolo.event (topic) values ('t')`)
	pgtest.Within(t, "the last event", begun)
	u.signal(syscall.SIGTERM)
	close(release)
	if code := u.exit(); code != command.ExitDone {
		t.Errorf("exit code %d, want %d", code, command.ExitDone)
	}
	if u.value(resigned) != 1 {
		t.Error("not resigned")
	}
}

// A leader whose lock is taken away exits before a lease has passed, although no line of it can be written.
func TestFullStderrAndLostLock(t *testing.T) {
	u := startUnread(t, refusing(startWitness(t, nil)))
	u.stderr.fill()
	u.failOnce()
	lost := time.Now()
	u.exec(`select pg_terminate_backend(pid)` + lockSession)
	if code := u.exit(); code != command.ExitUnhealthy {
		t.Errorf("exit code %d, want %d", code, command.ExitUnhealthy)
	}
	if took := time.Since(lost); took > 30*time.Second { // the lease of calm
		t.Errorf("the exit took %s, more than the lease", took)
	}
}

// A leader that was frozen past its lease exits when it goes on.
func TestFullStderrAndFrozen(t *testing.T) {
	t.Parallel()
	u := startUnread(t, `
election "main" {
  lease = "10s"
}`+refusing(startWitness(t, nil)))
	u.stderr.fill()
	u.failOnce()
	u.freeze()
	pgtest.Eventually(t, "the server to free the lock", func() bool {
		return u.value(`select count(*)`+lockSession) == 0
	})
	u.thaw()
	if code := u.exitWithin(10 * time.Second); code != command.ExitUnhealthy {
		t.Errorf("exit code %d, want %d", code, command.ExitUnhealthy)
	}
}

// A second signal ends the process, although its last line cannot be written.
func TestFullStderrAndSecondSignal(t *testing.T) {
	folder := t.TempDir()
	u := startUnread(t, `
cron "endless" {
  schedule = "* * * * * *"
  exec { command = ["/bin/sh", "-c", "touch `+folder+`/begun; trap '' TERM; while :; do sleep 1; done"] }
}`)
	pgtest.Eventually(t, "the job to begin", func() bool { return exists(filepath.Join(folder, "begun")) })
	u.stderr.fill()
	pgtest.Eventually(t, "the signals to end it", func() bool { // one that follows at once counts as the same
		_ = u.Signal(syscall.SIGINT)
		return isClosed(u.ended)
	})
	if code := u.exit(); code != command.ExitError {
		t.Errorf("exit code %d, want %d", code, command.ExitError)
	}
}

// An error before anything runs ends the process with its code, although it cannot be shown.
func TestFullStderrAndError(t *testing.T) {
	stderr := newFifo(t)
	stderr.fill()
	p := startCommand(t, fleet.Command{Args: []string{"run", "-c", "absent.hcl"}, Stderr: stderr.write})
	if code := p.exit(); code != command.ExitUsage {
		t.Errorf("exit code %d, want %d", code, command.ExitUsage)
	}
}

// A log whose reader has gone does not end the process; what it runs gets SIGPIPE as ever.
func TestStderrWithoutReader(t *testing.T) {
	seen := startWitness(t, nil)
	folder := t.TempDir()
	u := startUnread(t, refusing(seen)+`
topic "pipe" {}
handler "pipe" {
  topic = "pipe"
  exec { command = ["/bin/sh", "-c", "sh -c 'kill -PIPE $$'; test $? -gt 128 && touch `+folder+`/died"] }
}`)
	u.stderr.closeRead()
	u.failOnce()
	u.exec(`insert into pgsolo.event (topic) select 't' from generate_series(1, 20)`)
	pgtest.Eventually(t, "events", func() bool { return seen.events() == 20 })
	u.exec(`insert into pgsolo.event (topic) values ('pipe')`)
	pgtest.Eventually(t, "a program to die by SIGPIPE", func() bool { return exists(filepath.Join(folder, "died")) })
	u.signal(syscall.SIGTERM)
	if code := u.exit(); code != command.ExitDone {
		t.Errorf("exit code %d, want %d", code, command.ExitDone)
	}
	if u.value(resigned) != 1 {
		t.Error("not resigned")
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
