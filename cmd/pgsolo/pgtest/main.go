package pgtest

import (
	"context"
	"fmt"
	"os"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"
)

// current is the suite of the test binary. It is the one variable of the package, because TestMain and a test have
// nothing else in common. Main sets it before any test runs.
var current *suite

// Main runs the tests of a package, for its TestMain:
//
//	func TestMain(m *testing.M) { os.Exit(pgtest.Main(m, migrate)) }
//
// The first call of Database starts a server, and runs the migrations once, on a template database; they must not leave
// a connection open. PGSOLO_TEST_URL names a server to use instead: the tests make and drop databases with random names
// on it, so its user needs the right to create databases. When all tests have ended, the server ends, and a goroutine
// that is still there fails the package.
func Main(m interface{ Run() int }, migrate ...func(ctx context.Context, url string) error) int {
	current = &suite{migrate: migrate}
	code := m.Run()
	if err := current.close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	return code
}

// Migrating makes a migration for Main of those that place tables in a schema, such as election.Migrate and
// jobs.Migrate. They run in the order given, on one connection, up to the first error.
func Migrating(
	schema string, migrations ...func(ctx context.Context, conn *pgx.Conn, schema string) error,
) func(ctx context.Context, url string) error {
	return func(ctx context.Context, url string) error {
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		defer conn.Close(ctx)
		for _, migrate := range migrations {
			if err := migrate(ctx, conn, schema); err != nil {
				return err
			}
		}
		return nil
	}
}
