package jobstest

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
)

// PoolIn returns a pool on a new database with an encoding of its own, migrated, until the test ends.
func PoolIn(t testing.TB, encoding string) *pgxpool.Pool {
	t.Helper()
	admin := Pool(t)
	name := pgtest.Value[string](t, admin, `select current_database() || '_' || lower($1)`, encoding)
	name = name[max(0, len(name)-60):]
	config := admin.Config()
	config.ConnConfig.Database = name
	MustExec(t, admin, `create database `+pgx.Identifier{name}.Sanitize()+
		` encoding '`+encoding+`' template template0 lc_collate 'C' lc_ctype 'C'`)
	t.Cleanup(func() {
		_, _ = admin.Exec(context.Background(), `drop database `+pgx.Identifier{name}.Sanitize()+` with (force)`)
	})
	migrating := config.ConnConfig.Copy()
	migrating.RuntimeParams["client_encoding"] = "UTF8"
	if encoding == "LATIN1" { // comments of migrations may have any characters
		migrating.RuntimeParams["client_encoding"] = encoding
	}
	conn, err := pgx.ConnectConfig(t.Context(), migrating)
	if err != nil {
		t.Fatal(err)
	}
	if err := jobs.Migrate(t.Context(), conn, jobs.DefaultSchema); err != nil {
		t.Fatal(err)
	}
	_ = conn.Close(t.Context())
	config.ConnConfig.RuntimeParams["client_encoding"] = "UTF8"
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}
