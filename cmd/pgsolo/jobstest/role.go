package jobstest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// RoleOf returns a pool whose sessions have a new role, until the test ends. The role may use the schema and has these
// grants, in which {role} is its name.
func RoleOf(t *testing.T, pool *pgxpool.Pool, grants ...string) *pgxpool.Pool {
	t.Helper()
	_, role := SessionOf(t, pool, grants...)
	config := pool.Config()
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `set role `+role)
		return err
	}
	limited, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(limited.Close)
	return limited
}

// SessionOf opens a session of a new role, until the test ends. The role may use the schema and has these grants, in
// which {role} is its name.
func SessionOf(t testing.TB, pool *pgxpool.Pool, grants ...string) (conn *pgx.Conn, role string) {
	t.Helper()
	unique := pgtest.Value[string](t, pool, `select current_database()||clock_timestamp()`)
	role = fmt.Sprintf("r%x", sha256.Sum256([]byte(unique)))[:30]
	MustExec(t, pool, `create role `+role)
	t.Cleanup(func() {
		if _, err := pool.Exec(context.Background(), `drop owned by `+role+` cascade; drop role `+role); err != nil {
			t.Error(err)
		}
	})
	for _, grant := range append([]string{`grant usage on schema pgsolo to {role}`}, grants...) {
		MustExec(t, pool, strings.ReplaceAll(grant, "{role}", role))
	}
	conn = OwnSession(t, pool)
	MustExec(t, conn, `set role `+role)
	return conn, role
}
