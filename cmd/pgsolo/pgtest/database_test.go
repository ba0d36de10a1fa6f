package pgtest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/privatepg"
)

func TestDatabasesAreClonesOfTheTemplate(t *testing.T) {
	Database(t) // starts the server
	began := time.Now()
	const count = 20
	for range count {
		t.Run("one", func(t *testing.T) {
			url := Database(t)
			Value[int](t, Connect(t, url), `select one from migrated`)
		})
	}
	t.Logf("%s each for clone, connection and drop", time.Since(began)/count)
}

// The server that PGSOLO_TEST_URL names is a second private one here, with a password.
func TestUserServerByURL(t *testing.T) {
	server := Server(t, privatepg.Options{TCP: true})
	t.Setenv("PGSOLO_TEST_URL", server.URL("postgres"))
	packages := []*suite{
		{migrate: []func(context.Context, string) error{migrateForTest}},
		{migrate: []func(context.Context, string) error{migrateForTest}},
	}
	for _, s := range packages { // two packages at once
		t.Run("package", func(t *testing.T) {
			if got := Value[int](t, Connect(t, s.database(t)), `select one from migrated`); got != 1 {
				t.Errorf("got %d from the migrated table", got)
			}
			if s.server != nil {
				t.Error("a private server runs beside the user's")
			}
		})
	}
	const count = `select count(*) from pg_database where datname like 'pgsolo%'`
	if got := Value[int](t, Connect(t, server.URL("postgres")), count); got != 2 {
		t.Errorf("%d databases are left by the tests, want the two templates", got)
	}
	for _, s := range packages {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	}
	if got := Value[int](t, Connect(t, server.URL("postgres")), count); got != 0 {
		t.Errorf("%d databases are left at the end", got)
	}
}

func TestFailedMigrationFailsEachTest(t *testing.T) {
	server := Server(t, privatepg.Options{})
	t.Setenv("PGSOLO_TEST_URL", server.URL("postgres"))
	broken := errors.New("broken migration")
	s := &suite{migrate: []func(context.Context, string) error{func(context.Context, string) error { return broken }}}
	for range 2 {
		if err := s.open(); !errors.Is(err, broken) {
			t.Errorf("got error %v", err)
		}
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
	conn := Connect(t, server.URL("postgres"))
	if got := Value[int](t, conn, `select count(*) from pg_database where datname like 'pgsolo%'`); got != 0 {
		t.Errorf("%d databases are left", got)
	}
}

func TestDatabaseIsDroppedDespiteConnections(t *testing.T) {
	var address string
	t.Run("test that leaves a session open", func(t *testing.T) {
		address = Database(t)
		if _, err := pgx.Connect(t.Context(), address); err != nil { // closed by the server
			t.Fatal(err)
		}
	})
	if _, err := pgx.Connect(t.Context(), address); err == nil || !strings.Contains(err.Error(), "3D000") {
		t.Errorf("got %v, want SQLSTATE 3D000: the database does not exist", err)
	}
}

func TestDatabaseNames(t *testing.T) {
	for _, test := range []string{"", "TestÄ/\"; drop--", strings.Repeat("Long", 50)} {
		name := databaseName(test)
		if len(name) > 63 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
			t.Errorf("%q becomes %q", test, name)
		}
		if name == databaseName(test) {
			t.Errorf("%q is not unique", name)
		}
	}
}

func TestWrongUserServer(t *testing.T) {
	t.Setenv("PGSOLO_TEST_URL", "host=localhost password=hidden")
	err := new(suite).open()
	if err == nil || !strings.Contains(err.Error(), "PGSOLO_TEST_URL") || strings.Contains(err.Error(), "hidden") {
		t.Errorf("got error %v", err)
	}
}
