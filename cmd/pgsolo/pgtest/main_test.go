package pgtest

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// childVariable makes the test binary behave as that of another package.
const childVariable = "PGTEST_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) == "leak" {
		os.Exit(Main(leaky{}))
	}
	os.Exit(Main(m, migrateForTest))
}

// migrateForTest makes one table, so that a clone can be told from an empty database.
var migrateForTest = Migrating("public", func(ctx context.Context, conn *pgx.Conn, schema string) error {
	_, err := conn.Exec(ctx, `create table `+schema+`.migrated as select 1 as one`)
	return err
})

// leaky is a package whose tests pass and leave a goroutine behind.
type leaky struct{}

func (leaky) Run() int {
	go func() { select {} }()
	return 0
}

func TestMainFailsOnALeakedGoroutine(t *testing.T) {
	t.Parallel()
	process := exec.Command(os.Args[0])
	process.Env = append(os.Environ(), childVariable+"=leak")
	output, err := process.CombinedOutput()
	if process.ProcessState.ExitCode() != 1 || !strings.Contains(string(output), "found unexpected goroutines") {
		t.Errorf("got %v and output %q, want exit status 1 and the goroutine", err, output)
	}
}

// The packages that pgtest is for import it in their tests, some of them in tests of their own package.
func TestImportsNoneOfThePackagesItTests(t *testing.T) {
	const module = "github.com/pgsolo/pgsolo/"
	deps, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for path := range strings.FieldsSeq(string(deps)) {
		if strings.HasPrefix(path, module) &&
			path != module+"cmd/pgsolo/pgtest" && path != module+"cmd/pgsolo/privatepg" {
			t.Errorf("pgtest needs %s", path)
		}
	}
}
