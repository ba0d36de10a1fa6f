package privatepg

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestNothingIsLeftWhenTheOwnerIsKilled(t *testing.T) {
	t.Parallel()
	owner := startOwner(t, nil)
	pids, run := owner.ready(t)
	for _, pid := range pids {
		if !alive(pid) {
			t.Fatalf("process %d of the server does not run", pid)
		}
	}
	owner.kill(t)
	eventually(t, "end of the server", func() bool { return !alive(pids[0]) && !alive(pids[1]) })
	if exists(run) {
		t.Errorf("folder %s is left", run)
	}
}

// The owner is killed at the moment when initdb begins to write.
func TestNothingIsLeftWhenTheOwnerIsKilledDuringInitdb(t *testing.T) {
	t.Parallel()
	real, folder := realPrograms(t), openFolder(t)
	marker := filepath.Join(folder, "marks", "initdb")
	writeScript(t, filepath.Join(folder, "bin", "postgres"), `exec `+real.folder+`/postgres "$@"`)
	writeScript(t, filepath.Join(folder, "bin", "initdb"),
		`[ "$1" = --version ] || echo $$ "$2" >`+marker+`.new && mv `+marker+`.new `+marker+` 2>/dev/null
exec `+real.folder+`/initdb "$@"`)
	openTo(t, filepath.Dir(marker))
	owner := startOwner(t, nil, "PGSOLO_PG_BIN="+filepath.Join(folder, "bin"))
	eventually(t, "start of initdb", func() bool { return exists(marker) })
	mark, err := os.ReadFile(marker)
	if err != nil {
		t.Fatal(err)
	}
	pidText, data, _ := strings.Cut(strings.TrimSpace(string(mark)), " ")
	pid, err := strconv.Atoi(pidText)
	if err != nil {
		t.Fatal(err)
	}
	run := filepath.Dir(data)
	if !exists(run) {
		t.Fatalf("folder %s was never there", run)
	}
	owner.kill(t)
	eventually(t, "end of initdb", func() bool { return !alive(pid) })
	eventually(t, "end of the folder", func() bool { return !exists(run) })
}

func TestSignalToTheSupervisorStopsTheServer(t *testing.T) {
	for name, sign := range map[string]int{"process": 1, "group": -1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := testServer(t, Options{})
			main := postmaster(server)
			if err := syscall.Kill(sign*server.supervisor.process.Process.Pid, syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			<-server.Done()
			if alive(main) {
				t.Error("PostgreSQL still runs")
			}
			eventually(t, "end of the folder", func() bool { return !exists(server.run) })
		})
	}
}

// A supervisor that is killed cannot stop PostgreSQL; Stop then does.
func TestStopAfterTheSupervisorWasKilled(t *testing.T) {
	t.Parallel()
	server := testServer(t, Options{})
	main := postmaster(server)
	if err := server.supervisor.process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if alive(main) || exists(server.run) {
		t.Errorf("PostgreSQL runs: %t, its folder is there: %t", alive(main), exists(server.run))
	}
}

func TestOrdinaryUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("the other tests run as an ordinary user already; only root can become another one")
	}
	owner := startOwner(t, &syscall.Credential{Uid: 65534, Gid: 65534}, "HOME=/nonexistent", "TMPDIR=/tmp")
	pids, run := owner.ready(t)
	info, err := os.Stat(run)
	if err != nil {
		t.Fatal(err)
	}
	if stat := info.Sys().(*syscall.Stat_t); stat.Uid != 65534 || info.Mode().Perm() != 0o700 {
		t.Errorf("folder belongs to uid %d with mode %o, want 65534 and 700", stat.Uid, info.Mode().Perm())
	}
	owner.stdin.Close()
	if err := owner.process.Wait(); err != nil {
		t.Fatalf("end of owner: %v", err)
	}
	if alive(pids[0]) || alive(pids[1]) || exists(run) {
		t.Error("the server is not gone")
	}
}

func TestRootRunsPostgreSQLAsAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root has to switch to another user")
	}
	t.Setenv("TMPDIR", t.TempDir()) // closed to others
	server, err := Start(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	stopAtEnd(t, server)
	info, err := os.Stat(server.data)
	if err != nil {
		t.Fatal(err)
	}
	if stat := info.Sys().(*syscall.Stat_t); stat.Uid == 0 || stat.Uid != testAccount(t).uid {
		t.Errorf("data folder belongs to uid %d", stat.Uid)
	}
	status, err := os.ReadFile("/proc/" + strconv.Itoa(postmaster(server)) + "/status")
	if err != nil {
		t.Skip("no /proc here to tell the user and groups of a process")
	}
	for line := range strings.Lines(string(status)) {
		name, ids, _ := strings.Cut(strings.TrimSpace(line), ":")
		if (name == "Uid" || name == "Gid" || name == "Groups") &&
			strings.Contains(" "+strings.ReplaceAll(ids, "\t", " ")+" ", " 0 ") {
			t.Errorf("PostgreSQL has root among its %s: %s", name, ids)
		}
	}
}
