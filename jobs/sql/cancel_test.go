package sql

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/privatepg"
	"github.com/pgsolo/pgsolo/jobs"
)

var errStop = errors.New("time is up")

// When Run returns after the end of its context, the server has ended the statement, and the session serves on.
func TestCancelEndsTheStatement(t *testing.T) {
	pool := setup(t)
	one := oneSession(t, pool)
	session := pgtest.Value[int](t, one, `select pg_backend_pid()`)
	slow := 0
	for range 20 {
		ctx, cancel := context.WithCancelCause(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- Statement{SQL: `select pg_sleep(60)`, Pool: one}.Run(ctx, jobs.Invocation{}) }()
		pgtest.Eventually(t, "the statement", func() bool { return active(t, pool, "pg_sleep") == 1 })
		begin := time.Now()
		cancel(errStop)
		err := <-ended
		if n := active(t, pool, "pg_sleep"); n != 0 {
			t.Fatal("the statement still runs")
		}
		if !errors.Is(err, errStop) || err.Error() != "run statement: cancelled: time is up" {
			t.Fatalf("error %v", err)
		}
		if time.Since(begin) > cancelTime/2 {
			slow++
		}
		if next := pgtest.Value[int](t, one, `select pg_backend_pid()`); next != session {
			t.Fatal("the session was closed")
		}
	}
	if slow > 5 { // a busy machine may delay some
		t.Errorf("%d of 20 took longer than %s", slow, cancelTime/2)
	}
}

// Whenever the context ends, the statement is done or undone before Run returns, as its error says, and the next one is
// not cancelled in its place.
func TestCancelAtAnyTime(t *testing.T) {
	pool := setup(t, `create table t (id int)`)
	rows := 0
	for i := range 300 {
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Duration(i)*5*time.Microsecond, errStop)
		statement := Statement{SQL: `insert into t select $1 from pg_sleep(0.0003)`, Args: []any{i}, Pool: pool}
		err := statement.Run(ctx, jobs.Invocation{})
		cancel()
		switch {
		case err == nil:
			rows++
		case !errors.Is(err, errStop):
			t.Fatalf("after %d µs: %v", i*5, err)
		}
		if n := pgtest.Value[int](t, pool, `select count(*) from t`); n != rows {
			t.Fatalf("after %d µs: %d rows, want %d: %v", i*5, n, rows, err)
		}
	}
	t.Logf("%d of 300 came first", rows)
}

// A cancelled statement of a transaction leaves that to its owner.
func TestCancelInTransaction(t *testing.T) {
	pool := setup(t, `create table t (id int)`)
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	for _, sql := range []string{`insert into t values (1)`, `savepoint s`} {
		if _, err := tx.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, errStop)
	defer cancel()
	if err := (Statement{SQL: `select pg_sleep(60)`}).RunTx(ctx, tx); !errors.Is(err, errStop) {
		t.Errorf("error %v", err)
	}
	if _, err := tx.Exec(t.Context(), `rollback to s`); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := pgtest.Value[int](t, pool, `select count(*) from t`); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
}

// A statement that the server does not end is given up, and the error says so.
func TestStatementThatDoesNotEnd(t *testing.T) {
	server := pgtest.Server(t, privatepg.Options{})
	pool, err := pgxpool.New(t.Context(), server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Statement{SQL: `select pg_sleep(60)`, Pool: pool}.Run(ctx, jobs.Invocation{}) }()
	pgtest.Eventually(t, "the statement", func() bool { return active(t, pool, "pg_sleep") == 1 })
	frozen := pgtest.Value[int](t, pool,
		`select pid from pg_stat_activity where query like '%pg_sleep(60)' and pid <> pg_backend_pid()`)
	if err := syscall.Kill(frozen, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(frozen, syscall.SIGCONT) }()
	begin := time.Now()
	cancel(errStop)
	err = <-ended
	const want = "run statement: time is up: it may still run: the server has not ended it within 2s"
	if !errors.Is(err, errStop) || err.Error() != want {
		t.Errorf("error = %v\nwant    %s", err, want)
	}
	if took := time.Since(begin); took < cancelTime || took > 30*time.Second { // half of what the statement would take
		t.Errorf("it took %s", took)
	}
}
