package election_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// pool starts a PgBouncer in front of the database, and returns the URL that leads through it. settings are lines of
// its configuration, after those that every test needs. It ends with the test.
func pool(t *testing.T, database string, settings ...string) string {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer" // where Debian puts it, and where the PATH of an ordinary user does not lead
	}
	if _, err := os.Stat(program); err != nil {
		t.Skip("PgBouncer is not installed (Debian: apt-get install pgbouncer)")
	}
	server, err := pgx.ParseConfig(database)
	if err != nil {
		t.Fatal(err)
	}
	account, attributes := unprivileged(t, server.Host)
	folder := folderOf(t, account)

	config := filepath.Join(folder, "pgbouncer.ini")
	target := fmt.Sprintf("host=%s port=%d dbname=%s user=%s", server.Host, server.Port, server.Database, server.User)
	if server.Password != "" {
		target += " password=" + server.Password
	}
	lines := append([]string{
		"[databases]", "pooled = " + target,
		"[pgbouncer]", "listen_port = 5432", "unix_socket_dir = " + folder, "auth_type = any",
		"server_tls_sslmode = disable",
	}, settings...)
	if err := os.WriteFile(config, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(config, account.uid, account.gid); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(folder, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	process := exec.Command(program, config)
	process.Dir, process.Env = "/", []string{"PATH=/usr/bin:/bin"}
	process.Stdout, process.Stderr = log, log
	process.SysProcAttr = attributes
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = process.Process.Kill() // an orderly end would wait for its clients
		_ = process.Wait()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("the log of PgBouncer:\n%s", text)
		}
	})
	through := url.URL{Scheme: "postgres", User: url.User(server.User), Path: "/pooled",
		RawQuery: "host=" + folder + "&port=5432"}
	pgtest.Eventually(t, "PgBouncer to answer", func() bool {
		conn, err := pgx.Connect(t.Context(), through.String())
		if err != nil {
			return false
		}
		return conn.Close(context.Background()) == nil
	})
	return through.String()
}

// account is a user that PostgreSQL and PgBouncer consent to run as: they refuse root.
type account struct{ uid, gid int }

// unprivileged is this process's own user, or, for root, the owner of the server's socket, which lies in a folder of
// its own; where the server listens on a port, it is the user nobody.
func unprivileged(t *testing.T, serverHost string) (account, *syscall.SysProcAttr) {
	t.Helper()
	if os.Geteuid() != 0 {
		return account{os.Geteuid(), os.Getegid()}, nil
	}
	var owner account
	if strings.HasPrefix(serverHost, "/") {
		info, err := os.Stat(serverHost)
		if err != nil {
			t.Fatal(err)
		}
		stat := info.Sys().(*syscall.Stat_t)
		owner = account{int(stat.Uid), int(stat.Gid)}
	} else {
		nobody, err := user.Lookup("nobody")
		if err != nil {
			t.Skipf("root needs a user to run a server as: %v", err)
		}
		owner.uid, _ = strconv.Atoi(nobody.Uid) // a number on every unix
		owner.gid, _ = strconv.Atoi(nobody.Gid)
	}
	return owner, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(owner.uid), Gid: uint32(owner.gid),
		Groups: []uint32{}}}
}

// folderOf makes a folder of the account's, with a path short enough for a socket, and removes it after the test. The
// folder that t.TempDir makes lies in one that other users cannot enter.
func folderOf(t *testing.T, owner account) string {
	t.Helper()
	folder, err := os.MkdirTemp("/tmp", "pgsolo-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(folder); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chown(folder, owner.uid, owner.gid); err != nil {
		t.Fatal(err)
	}
	return folder
}
