package jobstest

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/listener"
)

// OwnSession opens a session of the test's own.
func OwnSession(t testing.TB, pool *pgxpool.Pool) *pgx.Conn {
	t.Helper()
	conn, err := pgx.ConnectConfig(t.Context(), pool.Config().ConnConfig)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func MustExec(t testing.TB, db interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}, sql string, args ...any) {
	t.Helper()
	if _, err := db.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(fmt.Errorf("%s: %w", sql, err))
	}
}

func Commit(t *testing.T, tx pgx.Tx) {
	t.Helper()
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Pool returns a pool on a database of the test's own.
func Pool(t testing.TB) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(context.Background(), pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// Listen runs a LISTEN session until the test ends.
func Listen(t testing.TB, pool *pgxpool.Pool) func(channel string) (jobs.Subscription, error) {
	t.Helper()
	session, err := listener.New(listener.Options{Config: pool.Config().ConnConfig})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = session.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return func(channel string) (jobs.Subscription, error) {
		s, err := session.Subscribe(channel)
		if err != nil {
			return jobs.Subscription{}, err
		}
		return jobs.Subscription{Messages: s.Messages(), Missed: s.Missed(), Close: s.Close}, nil
	}
}

type Execer interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Emit inserts one event and returns its id.
func Emit(t testing.TB, db Execer, topic string, payload string) (id int64) {
	t.Helper()
	err := db.QueryRow(t.Context(), `insert into pgsolo.event (topic, payload) values ($1, $2::jsonb) returning id`, topic, payload).Scan(&id)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func Begin(t testing.TB, pool *pgxpool.Pool) pgx.Tx {
	t.Helper()
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	return tx
}

func EmitMany(t *testing.T, pool *pgxpool.Pool, n int) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), `insert into pgsolo.event (topic, payload) select 't', to_jsonb(n) from generate_series(1, $1::int) n`, n); err != nil {
		t.Fatal(err)
	}
}

// RingOn returns the payload of the next notification.
func RingOn(t testing.TB, conn *pgx.Conn) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), pgtest.Patience)
	defer cancel()
	n, err := conn.WaitForNotification(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return n.Payload
}
