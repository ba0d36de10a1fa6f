package privatepg

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
)

// value returns the one value that a query yields.
func value(t *testing.T, url, statement string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var text string
	if err := conn.QueryRow(t.Context(), statement).Scan(&text); err != nil {
		t.Fatal(err)
	}
	return text
}

func TestStopLeavesNothing(t *testing.T) {
	t.Parallel()
	server := testServer(t, Options{Settings: map[string]string{"work_mem": "7MB"}})
	main := postmaster(server)
	got := map[string]string{}
	for _, name := range []string{"work_mem", "fsync", "synchronous_commit", "listen_addresses", "server_encoding"} {
		got[name] = value(t, server.URL("postgres"), "show "+name)
	}
	want := map[string]string{
		"work_mem": "7MB", "fsync": "off", "synchronous_commit": "on", "listen_addresses": "",
		"server_encoding": "UTF8",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	for range 2 {
		if err := server.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	<-server.Done()
	if err := server.Err(); err != nil {
		t.Errorf("Err after Stop: %v", err)
	}
	if alive(main) || exists(server.run) {
		t.Errorf("PostgreSQL runs: %t, its folder is there: %t", alive(main), exists(server.run))
	}
}

// An open session must not hold up a shutdown.
func TestStopCutsSessionsOff(t *testing.T) {
	t.Parallel()
	server := testServer(t, Options{})
	conn, err := pgx.Connect(t.Context(), server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := conn.Ping(t.Context()); err == nil {
		t.Error("the session outlives its server")
	}
}

func TestTCPNeedsThePassword(t *testing.T) {
	t.Parallel()
	server := testServer(t, Options{TCP: true})
	if got := value(t, server.URL("postgres"), `select current_user::text`); got != "postgres" {
		t.Errorf("connected as %q", got)
	}
	withWrongPassword, err := url.Parse(server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	withWrongPassword.User = url.UserPassword("postgres", "guess")
	err = query(t.Context(), withWrongPassword.String(), `select 1`)
	if err == nil || !strings.Contains(err.Error(), "28P01") {
		t.Errorf("connection with a wrong password: %v, want SQLSTATE 28P01", err)
	}
}

// A folder with a long path has no room for a unix socket.
func TestLongFolderMeansTCP(t *testing.T) {
	long := filepath.Join(openFolder(t), strings.Repeat("x", 100))
	if err := os.Mkdir(long, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(long, 0o777); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", long)
	server, err := Start(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	stopAtEnd(t, server)
	if !strings.Contains(server.URL("postgres"), "@127.0.0.1:") {
		t.Error("the server is not on the loopback interface")
	}
	if err := query(t.Context(), server.URL("postgres"), `select 1`); err != nil {
		t.Error(err)
	}
}

func TestRestartKeepsAddressAndData(t *testing.T) {
	t.Parallel()
	for _, mode := range []Mode{Fast, Immediate} {
		t.Run(string(mode), func(t *testing.T) {
			server := testServer(t, Options{TCP: mode == Immediate})
			address := server.URL("postgres")
			if err := query(t.Context(), address, `create table kept as select 'yes'::text as answer`); err != nil {
				t.Fatal(err)
			}
			if err := server.Halt(t.Context(), mode); err != nil {
				t.Fatal(err)
			}
			if err := query(t.Context(), address, `select 1`); err == nil {
				t.Error("a halted server answers")
			}
			if err := server.Resume(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := server.Restart(t.Context(), mode); err != nil {
				t.Fatal(err)
			}
			if got := value(t, address, `select answer from kept`); got != "yes" {
				t.Errorf("kept %q", got)
			}
			select {
			case <-server.Done():
				t.Error("Done is closed by a restart")
			default:
			}
		})
	}
}

func TestHaltAndResumeRefuse(t *testing.T) {
	t.Parallel()
	server := testServer(t, Options{})
	if err := server.Halt(t.Context(), "smart"); err == nil || !strings.Contains(err.Error(), `"smart"`) {
		t.Errorf("unknown mode: %v", err)
	}
	if err := server.Resume(t.Context()); err == nil {
		t.Error("a running server was resumed")
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := server.Restart(t.Context(), Fast); err == nil {
		t.Error("a stopped server was restarted")
	}
}

func TestDoneWhenPostgreSQLEndsByItself(t *testing.T) {
	t.Parallel()
	server := testServer(t, Options{})
	process, err := os.FindProcess(postmaster(server))
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	<-server.Done()
	if err := server.Err(); err == nil || !strings.Contains(err.Error(), "received fast shutdown request") {
		t.Errorf("Err is %v, want the end of the log", err)
	}
}

func TestPersistentFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(openFolder(t), "kept")
	if os.Geteuid() == 0 {
		t.Log("root gives the folder to " + testAccount(t).String())
	}
	first := testServer(t, Options{Dir: dir})
	if got := value(t, first.URL("postgres"), `show fsync`); got != "on" {
		t.Errorf("fsync is %s on a folder that is kept", got)
	}
	const keep = `create table kept as select 'yes'::text as answer`
	if err := query(t.Context(), first.URL("postgres"), keep); err != nil {
		t.Fatal(err)
	}

	busy, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("waited enough"))
	if _, err := Start(busy, Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "lock data folder "+dir) {
		t.Errorf("second server on one folder: %v", err)
	}
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	if exists(first.run) {
		t.Errorf("folder %s is left", first.run)
	}

	second := testServer(t, Options{Dir: dir, TCP: true}) // with the password of the first
	if got := value(t, second.URL("postgres"), `select answer from kept`); got != "yes" {
		t.Errorf("kept %q", got)
	}
}

func TestPersistentFolderOfAnUnsupportedVersion(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(openFolder(t), "kept")
	server := testServer(t, Options{Dir: dir})
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "data", "PG_VERSION"), []byte("13\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "version 13") {
		t.Errorf("got %v, want the version of the folder", err)
	}
}

// Root's home is closed to the user that runs root's server.
func TestPersistentFolderOutOfReach(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("an ordinary user runs the server as himself")
	}
	closed := t.TempDir()
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(closed, "kept")
	_, err := Start(t.Context(), Options{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "outside root's home") {
		t.Errorf("got error %v, want the remedy", err)
	}
	if exists(dir) {
		t.Error("the refused folder was made")
	}
}

func TestStartErrors(t *testing.T) {
	tests := map[string]struct {
		options Options
		want    string // part of the error
	}{
		"setting that PostgreSQL refuses": {
			Options{Settings: map[string]string{"no_such_setting": "1"}},
			`unrecognized configuration parameter "no_such_setting"`,
		},
		"name that is no setting": {
			Options{Settings: map[string]string{"a b": "1"}}, `"a b" is not the name of a setting`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			folder := ownTempFolder(t)
			_, err := Start(t.Context(), test.options)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want %s", err, test.want)
			}
			wantEmpty(t, folder)
		})
	}
}

// The context ends while initdb runs, which does not come to its end before.
func TestCancelledStartLeavesNothing(t *testing.T) {
	real, programs := realPrograms(t), openFolder(t)
	marks := filepath.Join(programs, "marks")
	openTo(t, marks)
	writeScript(t, filepath.Join(programs, "bin", "postgres"), `exec `+real.folder+`/postgres "$@"`)
	writeScript(t, filepath.Join(programs, "bin", "initdb"), `if [ "$1" != --version ]; then
	mkdir "$2" # as it does itself at first
	: >`+marks+`/begun
	while [ ! -e `+marks+`/cancelled ]; do sleep 0.01; done
fi
exec `+real.folder+`/initdb "$@"`)
	t.Setenv("PGSOLO_PG_BIN", filepath.Join(programs, "bin"))
	folder := ownTempFolder(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("not wanted any more")
	result := make(chan error, 1)
	go func() {
		_, err := Start(ctx, Options{})
		result <- err
	}()
	eventually(t, "start of initdb", func() bool { return exists(filepath.Join(marks, "begun")) })
	cancel(enough)
	if err := os.WriteFile(filepath.Join(marks, "cancelled"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := <-result; !errors.Is(err, enough) {
		t.Errorf("got error %v, want the cause of the context's end", err)
	}
	wantEmpty(t, folder)
}

// ownTempFolder makes servers of this test put their folders into one of its own.
func ownTempFolder(t *testing.T) string {
	t.Helper()
	folder := openFolder(t)
	if err := os.Chmod(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", folder)
	return folder
}

func wantEmpty(t *testing.T, folder string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		t.Errorf("%s is left in the temporary folder", strconv.Quote(entry.Name()))
	}
}
