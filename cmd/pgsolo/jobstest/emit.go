package jobstest

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Execer is what Emit needs of a pool, a connection or a transaction.
type Execer interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Emit inserts one event and returns its id.
func Emit(t testing.TB, db Execer, topic, payload string) (id int64) {
	t.Helper()
	err := db.QueryRow(t.Context(), `insert into pgsolo.event (topic, payload) values ($1, $2::jsonb) returning id`,
		topic, payload).Scan(&id)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// EmitMany inserts n events of the topic t, with the payloads 1 to n.
func EmitMany(t *testing.T, pool *pgxpool.Pool, n int) {
	t.Helper()
	_, err := pool.Exec(t.Context(),
		`insert into pgsolo.event (topic, payload) select 't', to_jsonb(n) from generate_series(1, $1::int) n`, n)
	if err != nil {
		t.Fatal(err)
	}
}
