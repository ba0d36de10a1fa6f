package command

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

const beInit = "PGSOLO_TEST_BE_INIT"

func init() { roles[beInit] = initMain }

// initMain is process 1 of a namespace, and then what that runs: a program which leaves orphans behind, and ends with
// code 7 when it is told to.
func initMain() {
	if code, is := superviseAsInit(); is {
		os.Exit(code)
	}
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM)
	for range 20 {
		if err := exec.Command("/bin/sh", "-c", "(exit 0 &) & exit 0").Run(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	fmt.Println("orphans are left behind")
	<-told
	os.Exit(7)
}

// Process 1 reaps what others leave behind, passes signals on, and ends as the program does.
func TestProcess1ReapsOrphans(t *testing.T) {
	var output pgtest.Buffer
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), beInit+"=1")
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWUSER, Pdeathsig: syscall.SIGKILL,
	}
	if err := cmd.Start(); err != nil {
		t.Skipf("no namespace of processes: %v", err)
	}
	defer cmd.Process.Kill()
	pgtest.Eventually(t, "orphans", func() bool { return strings.Contains(output.String(), "orphans are left behind") })
	pgtest.Eventually(t, "no zombie", func() bool { return len(children(t, cmd.Process.Pid)) == 1 })
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 7 {
		t.Errorf("exit code %d, want the program's; output: %s", code, output.String())
	}
}

// children are the processes whose parent is that one, zombies too.
func children(t *testing.T, parent int) (names []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := bytes.Cut(text, []byte(") "))
		var state string
		var ppid int
		if _, err := fmt.Sscan(string(rest), &state, &ppid); err == nil && ppid == parent {
			names = append(names, state+" "+file)
		}
	}
	return names
}
