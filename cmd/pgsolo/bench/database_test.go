package bench

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// The session of a statement that was interrupted is gone. The database is dropped even so.
func TestDatabaseIsDroppedAfterAnInterruption(t *testing.T) {
	url := pgtest.Database(t)
	d, err := openDatabase(t.Context(), Options{URL: url}, &progress{})
	if err != nil {
		t.Fatal(err)
	}
	_ = d.admin.Close(t.Context()) // as pgx does when a statement is interrupted
	if err := d.close(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var there bool
	const isThere = `select exists (select from pg_database where datname = $1)`
	if err := conn.QueryRow(t.Context(), isThere, d.name).Scan(&there); err != nil || there {
		t.Errorf("the database is there: %v, %v", there, err)
	}
}
