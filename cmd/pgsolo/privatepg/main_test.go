package privatepg

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"
)

// childVariable makes the test binary behave as another program: the owner of a server, in a process that a test can
// kill.
const childVariable = "PRIVATEPG_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) == "owner" {
		os.Exit(ownServer())
	}
	goleak.VerifyTestMain(m)
}

// testServer starts a server for one test. It is pgtest.Server, which these tests cannot import: it imports this
// package.
func testServer(t *testing.T, opts Options) *Server {
	t.Helper()
	opts.Memory = true
	server, err := Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	stopAtEnd(t, server)
	return server
}

func stopAtEnd(t *testing.T, server *Server) {
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
}

// ownServer starts a server, tells its processes and folder, and stops it when its standard input ends.
func ownServer() int {
	server, err := Start(context.Background(), Options{})
	if err != nil {
		fmt.Println("error:", err)
		return 1
	}
	fmt.Println(server.supervisor.process.Process.Pid, postmaster(server), server.run)
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := query(context.Background(), server.URL("postgres"), `select 1`); err != nil {
		fmt.Println("error:", err)
		return 1
	}
	if err := server.Stop(); err != nil {
		fmt.Println("error:", err)
		return 1
	}
	return 0
}

// owner is a process that runs ownServer.
type owner struct {
	process *exec.Cmd
	stdin   io.Closer
	output  *bufio.Reader
}

// startOwner runs ownServer in a child process, as another user where one is given.
func startOwner(t *testing.T, credential *syscall.Credential, env ...string) *owner {
	t.Helper()
	// The test binary is in a folder that another user cannot enter; this name for it works for every user.
	process := exec.Command("/proc/self/exe")
	if _, err := os.Stat(process.Path); err != nil {
		process = exec.Command(os.Args[0])
	}
	process.Dir = "/"
	process.Env = append(os.Environ(), append(env, childVariable+"=owner")...)
	process.Stderr = os.Stderr
	process.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	stdin, err := process.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stdin.Close() })
	return &owner{process: process, stdin: stdin, output: bufio.NewReader(stdout)}
}

// ready returns what the owner tells of its server.
func (o *owner) ready(t *testing.T) (pids []int, run string) {
	t.Helper()
	line, err := o.output.ReadString('\n')
	if err != nil {
		t.Fatalf("read from owner: %v", err)
	}
	fields := strings.Fields(line)
	if len(fields) != 3 || fields[0] == "error:" {
		t.Fatalf("owner says %q", line)
	}
	for _, field := range fields[:2] {
		pid, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids, fields[2]
}

// kill ends the owner without giving it a chance to clean up.
func (o *owner) kill(t *testing.T) {
	t.Helper()
	if err := o.process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = o.process.Wait() // says that it was killed
}

// query runs one statement on a connection of its own.
func query(ctx context.Context, url, statement string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, statement)
	return err
}

// postmaster returns the process id of a server's main process.
func postmaster(server *Server) int {
	file, err := os.ReadFile(filepath.Join(server.data, "postmaster.pid"))
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(file), "\n")
	pid, _ := strconv.Atoi(first)
	return pid
}

// alive says whether a process runs. One that has ended, and whose parent has not waited for it, does not.
func alive(pid int) bool {
	if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil {
		return !strings.Contains(string(stat), ") Z ")
	}
	return syscall.Kill(pid, 0) == nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// eventually fails the test when a condition does not come true in a minute. It is pgtest.Eventually,
// out of reach as pgtest.Server is.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	retry := time.NewTicker(5 * time.Millisecond)
	defer retry.Stop()
	deadline := time.After(time.Minute)
	for !condition() {
		select {
		case <-retry.C:
		case <-deadline:
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

// openFolder returns a folder that every user can enter, unlike those of t.TempDir.
func openFolder(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("/tmp", "privatepg-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	return folder
}

// openTo makes a folder that every user can write to.
func openTo(t *testing.T, folder string) {
	t.Helper()
	if err := os.Mkdir(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(folder, 0o777); err != nil {
		t.Fatal(err)
	}
}

// writeScript makes a shell script that every user can run. A child that another test starts meanwhile would inherit
// the file, open for writing, up to its own exec, and for that long no other process can run it.
func writeScript(t *testing.T, path, body string) {
	t.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

// realPrograms returns the programs that the tests run on.
func realPrograms(t *testing.T) programs {
	t.Helper()
	found, err := provide(t.Context(), newFinder(testAccount(t), 0), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func testAccount(t *testing.T) account {
	t.Helper()
	account, err := chooseAccount()
	if err != nil {
		t.Fatal(err)
	}
	return account
}
