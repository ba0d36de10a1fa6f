package listener

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/privatepg"
)

// On a hot standby there is no LISTEN. It is named once, in the error of a listener that runs out of patience, too, and
// one that is patient serves as soon as the standby is promoted.
func TestHotStandby(t *testing.T) {
	t.Parallel()
	b := setupOn(t, hotStandby(t))

	impatient := b.options
	impatient.Patience = 3 * time.Second // in which a busy machine asks for a LISTEN
	called := make(chan error, 2)
	impatient.Unhealthy = func(err error) { called <- err }
	l, err := New(impatient)
	if err != nil {
		t.Fatal(err)
	}
	b.subscribe(l, "c")
	ended, _ := b.run(l)
	if err := pgtest.Within(t, "the end", ended); !errors.Is(err, ErrHotStandby) ||
		!strings.Contains(err.Error(), "connect to the primary") {
		t.Errorf("Run returned %v", err)
	}
	if len(called) != 1 || !errors.Is(<-called, ErrHotStandby) {
		t.Errorf("unhealthy was called %d times", len(called))
	}

	b.log = new(logBuffer)
	b.options.Logger = b.log.logger()
	b.options.Unhealthy = func(err error) { t.Errorf("unhealthy: %v", err) }
	l = b.listener()
	_, _ = b.run(l)
	pgtest.Eventually(t, "a session that nobody wants yet", func() bool { return l.Stats().Connected })
	s := b.subscribe(l, "c")
	pgtest.Eventually(t, "the log to name it", func() bool { return b.log.count("hot standby") > 0 })
	if !pgtest.Value[bool](t, b.conn, `select pg_promote()`) {
		t.Fatal("the standby is not promoted")
	}
	pgtest.Within(t, "established", s.Established())
	b.notify("c", "x")
	if got := receive(t, s); got != "x" {
		t.Errorf("received %q", got)
	}
	if n := b.log.count("hot standby"); n > 2 { // one for the session that is lost, one for those that follow
		t.Errorf("the log names the hot standby %d times:\n%s", n, b.log)
	}
}

// hotStandby starts a primary and a hot standby that follows it, and returns where the standby is.
func hotStandby(t *testing.T) string {
	t.Helper()
	primary := pgtest.Server(t, privatepg.Options{})
	conn, err := pgx.Connect(t.Context(), primary.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	server := conn.Config()
	if !strings.HasPrefix(server.Host, "/") {
		t.Skip("the primary listens on a port, where its pg_hba.conf lets no standby in")
	}
	backup := filepath.Join(pgtest.Value[string](t, conn, `select setting from pg_config where name = 'BINDIR'`),
		"pg_basebackup")
	if _, err := os.Stat(backup); err != nil {
		t.Skipf("there is no pg_basebackup beside this PostgreSQL: %v", err)
	}
	owner, attributes := unprivileged(t, server.Host)
	folder := folderOf(t, owner)
	// The backup brings the password file along that makes it a data folder of privatepg.
	copying := exec.CommandContext(t.Context(), backup, "--host", server.Host, "--port", strconv.Itoa(int(server.Port)),
		"--username", server.User,
		"--pgdata", filepath.Join(folder, "data"), "--write-recovery-conf", "--checkpoint", "fast", "--no-sync",
		"--no-manifest")
	copying.Dir, copying.SysProcAttr = "/", attributes
	if output, err := copying.CombinedOutput(); err != nil {
		t.Fatalf("copy the primary: %v\n%s", err, output)
	}
	standby := pgtest.Server(t, privatepg.Options{Dir: folder, Settings: map[string]string{"fsync": "off"}})
	return standby.URL("postgres")
}
