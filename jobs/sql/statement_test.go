package sql

import (
	"context"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/eventlog"
	"github.com/pgsolo/pgsolo/jobs/internal/attempt"
)

// The server decides on the types, as it does for literals.
func TestServerDecidesOnTypes(t *testing.T) {
	pool := setup(t, `create table t (i bigint, n numeric, f float8, b boolean, s text, at timestamptz, j jsonb, u uuid,
		raw bytea, a int[], missing text)`)
	huge, _ := new(big.Int).SetString("123456789012345678901234567890", 10)
	name := "named"
	statement := Statement{
		SQL: `insert into t values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		Args: []any{
			int8(-7), huge, 0.25, true, &name, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
			map[string]any{"a": []int{1}},
			"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", []byte{0, 255}, "{1,2}", (*string)(nil),
		},
		Pool: pool,
	}
	if err := statement.Run(t.Context(), jobs.Invocation{}); err != nil {
		t.Fatal(err)
	}
	statement.Args = []any{"12", "1.50", "NaN", "off", "", "2026-01-02 03:04:05+01", `[1]`, nil, nil, nil, nil}
	if err := statement.Run(t.Context(), jobs.Invocation{}); err != nil {
		t.Fatal(err)
	}
	const rows = `select string_agg(concat_ws(' ', i, n, f, b, quote_nullable(s), at at time zone 'UTC', j, u, raw, a,
		missing is null), '; ' order by i) from t`
	const want = `-7 123456789012345678901234567890 0.25 t 'named' 2026-01-02 03:04:05 {"a": [1]} ` +
		`a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11 \x00ff {1,2} t; ` +
		`12 1.50 NaN f '' 2026-01-02 02:04:05 [1] t`
	if diff := cmp.Diff(want, pgtest.Value[string](t, pool, rows)); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestReport(t *testing.T) {
	for name, test := range map[string]struct{ sql, outcome, output, failure string }{
		"command tag": {`delete from session`, "ok", "DELETE 17\n", ""},
		"rows":        {`select generate_series(1, 100000)`, "ok", "SELECT 100000\n", ""},
		"notices": {
			`do $$ begin raise notice 'half way'; raise warning 'slow'; end $$`, "ok",
			"NOTICE: half way\nWARNING: slow\nDO\n", "",
		},
		"failure": {`do $$ begin raise notice 'half way'; raise exception 'no'; end $$`, "failed", "NOTICE: half way\n",
			"run statement: ERROR: no (SQLSTATE P0001)"},
		"no transaction": {`vacuum session`, "ok", "VACUUM\n", ""},
		"copied out":     {`copy (select generate_series(1, 10)) to stdout`, "ok", "COPY 10\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			pool := setup(t, `create table session (id int)`, `insert into session select generate_series(1, 17)`)
			outcome, output, failure := history(t, pool, Statement{SQL: test.sql, Pool: pool})
			if outcome != test.outcome || output != test.output || failure != test.failure {
				t.Errorf("%s %q %q, want %s %q %q", outcome, output, failure, test.outcome, test.output, test.failure)
			}
		})
	}
}

// An error has the code, the message and the place, and neither the values nor what would repeat them.
func TestErrors(t *testing.T) {
	pool := setup(t, `create table t (id text primary key)`, `insert into t values ('sesame')`)
	for name, test := range map[string]struct {
		sql  string
		args []any
		want string
	}{
		"unknown table": {
			"delete\n from nowhere\nwhere id = $1", []any{"sesame"},
			`run statement, line 2, column 7: ERROR: relation "nowhere" does not exist (SQLSTATE 42P01)`,
		},
		"constraint": {
			`insert into t values ($1)`, []any{"sesame"},
			`run statement: ERROR: duplicate key value violates unique constraint "t_pkey" (SQLSTATE 23505)`,
		},
		"no type": {
			`select concat($1)`, []any{"sesame"},
			`run statement: ERROR: could not determine data type of parameter $1 (SQLSTATE 42P18): ` +
				`give the parameter a type, as in $1::bigint`,
		},
		"not in place": {
			`with a as (select 1) vacuum`, nil,
			`run statement, line 1, column 22: ERROR: syntax error at or near "vacuum" (SQLSTATE 42601)`,
		},
		"too few values": {
			`select $1::int + $2::int`, []any{"sesame"}, `sql: SQL has the parameter $2, and there is only one value`,
		},
		"not a value": {`select $1`, []any{func() {}}, `sql: Args[0]: a func() cannot be written as JSON`},
	} {
		err := Statement{SQL: test.sql, Args: test.args, Pool: pool}.Run(t.Context(), jobs.Invocation{})
		if got := text(err); got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, test.want)
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// Connecting fails without the password, and a wait for a session says that there are none.
func TestNoSession(t *testing.T) {
	closed, err := pgxpool.New(t.Context(), "postgres://app:sesame@127.0.0.1:1/nowhere?connect_timeout=5")
	if err != nil {
		t.Fatal(err)
	}
	defer closed.Close()
	err = Statement{SQL: `select 1`, Pool: closed}.Run(t.Context(), jobs.Invocation{})
	if got := text(err); !strings.HasPrefix(got, "open session: ") || strings.Contains(got, "sesame") {
		t.Errorf("error %q", got)
	}
	err = Statement{SQL: `select 1`}.Run(t.Context(), jobs.Invocation{})
	if got := text(err); got != "sql: Pool is required by Run" {
		t.Errorf("error %q", got)
	}

	one := oneSession(t, setup(t))
	taken, err := one.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Release()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Millisecond, errors.New("time is up"))
	defer cancel()
	const want = "this process lacks what it needs: wait for a session, of which there are 1: " +
		"other attempts have all of them: time is up"
	for _, watched := range []bool{true, false} {
		err = Statement{SQL: `select 1`, Pool: one, Watched: watched}.Run(ctx, jobs.Invocation{})
		if got := text(err); got != want {
			t.Errorf("error %q", got)
		}
	}
}

// oneSession is a pool like another one, of one session.
func oneSession(t *testing.T, pool *pgxpool.Pool) *pgxpool.Pool {
	t.Helper()
	config := pool.Config()
	config.MaxConns = 1
	WatchPool(config)
	one, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(one.Close)
	return one
}

// An attempt that waits for a session until its time is up is made again, and does not count.
func TestWaitForASessionIsNoAttempt(t *testing.T) {
	one := oneSession(t, setup(t))
	taken, err := one.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Release()
	var log pgtest.Buffer
	ran := make(chan error, 1)
	go func() {
		ran <- attempt.Do(t.Context(), 2*time.Second, hclog.New(&hclog.LoggerOptions{Output: &log}),
			func(ctx context.Context) error {
				return Statement{SQL: `select 1`, Pool: one}.Run(ctx, jobs.Invocation{Report: new(jobs.Report)})
			})
	}()
	pgtest.Eventually(t, "an attempt that is made again", func() bool {
		return strings.Contains(log.String(), "does not count")
	})
	taken.Release()
	if err := pgtest.Within(t, "the attempt", ran); err != nil {
		t.Error(err)
	}
}

// A statement in a transaction is part of it, and can end neither it nor the session.
func TestInTransaction(t *testing.T) {
	pool := setup(t, `create table t (id int)`, `create procedure settle() language plpgsql as 'begin commit; end'`)
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	run := func(sql string, args ...any) string {
		if _, err := tx.Exec(t.Context(), `savepoint s`); err != nil {
			t.Fatal(err)
		}
		failure := text(Statement{SQL: sql, Args: args}.RunTx(t.Context(), tx))
		if failure != "" {
			if _, err := tx.Exec(t.Context(), `rollback to s`); err != nil {
				t.Fatal(err)
			}
		}
		return failure
	}
	if failure := run(`insert into t values ($1)`, 1); failure != "" {
		t.Error(failure)
	}
	if n := pgtest.Value[int](t, pool, `select count(*) from t`); n != 0 {
		t.Errorf("%d rows before the commit", n)
	}
	for sql, want := range map[string]string{
		`vacuum`: "SQLSTATE 25001): a handler of a topic runs its statement in the transaction that marks " +
			"the event as done",
		`call settle()`:        "SQLSTATE 2D000): a handler of a topic",
		`commit`:               "sql: SQL begins or ends a transaction",
		`select 1; rollback`:   "sql: SQL has a second statement, line 1, column 11",
		`insert into t values`: "SQLSTATE 42601",
	} {
		if failure := run(sql); !strings.Contains(failure, want) {
			t.Errorf("%s: %q, want %q", sql, failure, want)
		}
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := pgtest.Value[int](t, pool, `select count(*) from t`); n != 1 {
		t.Errorf("%d rows after the commit", n)
	}
}

// The statement happens once for each event, although the first attempts fail, and those of another have an effect
// before they fail.
func TestExactlyOnce(t *testing.T) {
	pool := setup(t, `create table effect (id bigint, attempt int)`, `create sequence attempts`)
	const insert = `insert into effect
		select $1, $2 from (select 1 / (case when nextval('attempts') > $3 then 1 else 0 end)) as fails`
	end := leadHandlers(t, eventlog.Options{
		Pool: pool, Topics: []eventlog.Topic{{Name: "t"}},
		Handlers: []eventlog.Handler{{
			Name: "h", Topic: "t", Retry: jobs.Retry{Backoff: time.Millisecond}, Concurrency: 2,
			HandleTx: func(ctx context.Context, tx pgx.Tx, event eventlog.Event) error {
				if err := (Statement{SQL: insert, Args: []any{event.ID, event.Attempt, 3}}).RunTx(ctx, tx); err != nil {
					return err
				}
				if event.Attempt == 1 {
					return errors.New("after its effect")
				}
				return nil
			},
		}},
	})
	defer end()
	pgtest.Eventually(t, "the topic", func() bool {
		_, err := pool.Exec(t.Context(), `insert into pgsolo.event (topic) select 't' from generate_series(1, 20)`)
		return err == nil
	})
	pgtest.Eventually(t, "20 effects", func() bool {
		return pgtest.Value[int](t, pool, `select count(*) from effect`) >= 20
	})
	pgtest.Eventually(t, "the cursor", func() bool {
		return pgtest.Value[int](t, pool,
			`select coalesce(sum(upper(r) - lower(r)), 0) from pgsolo.cursor, unnest(done) as r`) == 20 &&
			pgtest.Value[int](t, pool, `select count(*) from pgsolo.delivery`) == 0
	})
	n := pgtest.Value[int](t, pool, `select count(distinct id) from effect`)
	if n != 20 || pgtest.Value[int](t, pool, `select count(*) from effect`) != 20 {
		t.Errorf("%d events have effects", n)
	}
	if n := pgtest.Value[int](t, pool, `select min(attempt) from effect`); n < 2 {
		t.Error("a failed attempt has an effect")
	}
}

var _ jobs.Action = Statement{}.Run

// pgx reports the server's errors so that callers can branch on them.
func TestErrorsWrap(t *testing.T) {
	err := Statement{SQL: `select 1 / 0`, Pool: setup(t)}.Run(t.Context(), jobs.Invocation{})
	if refused, ok := errors.AsType[*pgconn.PgError](err); !ok || refused.Code != "22012" {
		t.Errorf("error %v", err)
	}
}
