package eventlog

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// sessionState is what a statement may leave in a session, apart from the name of the session.
const sessionState = `array(
	select setting || ' ' || current_setting(setting, true) from unnest(array['role', 'app.tenant', 'work_mem',
		'default_transaction_read_only', 'default_transaction_isolation', 'transaction_read_only',
		'client_encoding', 'DateStyle', 'statement_timeout', 'idle_in_transaction_session_timeout',
		'application_name']) setting
		where coalesce(current_setting(setting, true), '') <> ''
	union all select 'statement ' || name from pg_prepared_statements where from_sql
	union all select 'cursor ' || name from pg_cursors where is_holdable
	union all select 'channel ' || c from pg_listening_channels() c
	union all select 'lock ' || objid from pg_locks
		where locktype = 'advisory' and pid = pg_backend_pid() and objsubid = 1
	union all select 'table ' || relname from pg_class where relnamespace = pg_my_temp_schema() and relkind = 'r'
	order by 1)`

// leavings are statements that leave something in their session.
var leavings = []string{
	`select set_config('app.tenant', 'acme', false)`, `set role nosy`, `set work_mem = '1234kB'`,
	`set session characteristics as transaction isolation level serializable`,
	`set default_transaction_read_only = on`, `set client_encoding = 'LATIN1'`, `set DateStyle = 'SQL, DMY'`,
	`set application_name = 'mine'`, `set statement_timeout = '1min'`,
	`set idle_in_transaction_session_timeout = '1min'`,
	`prepare mine as select 1`, `declare mine cursor with hold for select 1`, `listen mine`,
	`select pg_advisory_lock(4711)`, `create temp table mine as select 1`,
}

// What a statement of one handler leaves in its session reaches no other handler, and none of the runner's own
// statements, although they have two sessions together.
func TestSessionsAreCleanForOthers(t *testing.T) {
	t.Parallel()
	config := jobstest.Pool(t).Config()
	config.MaxConns = 2
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	own := jobstest.OwnSession(t, pool)
	jobstest.MustExec(t, own, `do $$ begin create role nosy superuser;
		exception when duplicate_object or unique_violation then end $$`)
	want := pgtest.Value[[]string](t, pool, `select `+sessionState)
	found, left := make(chan []string, 10), make(chan string, 10)
	l := lead(t, pool, 1,
		Handler{Name: "leaves", Topic: "leaves", HandleTx: func(ctx context.Context, tx pgx.Tx, e Event) error {
			var statement string
			if err := json.Unmarshal(e.Payload, &statement); err != nil {
				return err
			}
			left <- statement
			_, err := tx.Exec(ctx, statement)
			return err
		}},
		Handler{Name: "finds", Topic: "finds", HandleTx: func(ctx context.Context, tx pgx.Tx, _ Event) error {
			var state []string
			err := tx.QueryRow(ctx, `select `+sessionState).Scan(&state)
			found <- state
			return err
		}},
	)
	check := func(after string, state []string) {
		t.Helper()
		if diff := cmp.Diff(want, state); diff != "" {
			t.Errorf("after %s: -want +got\n%s", after, diff)
		}
	}
	leave := func(statement string) {
		t.Helper()
		jobstest.MustExec(t, own, `insert into pgsolo.event (topic, payload) values ('leaves', to_jsonb($1::text))`,
			statement)
		if got := pgtest.Within(t, statement, left); got != statement {
			t.Fatalf("%s comes again", got)
		}
		pgtest.Eventually(t, statement, func() bool {
			return pgtest.Value[bool](t, own, `select done @> (select max(id) from pgsolo.event)
				from pgsolo.cursor where handler = 'leaves'`)
		})
	}
	for _, statement := range leavings {
		leave(statement)
		check(statement+", a statement of the runner's", pgtest.Value[[]string](t, pool, `select `+sessionState))
		jobstest.Emit(t, own, "finds", `1`)
		check(statement+", another handler's", pgtest.Within(t, "the other handler", found))
	}
	for range 3 { // with the statement that the runner has prepared there
		leave(`deallocate all`)
	}
	l.quit()
	for range config.MaxConns {
		conn, err := pool.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Release()
		check("all", pgtest.Value[[]string](t, conn, `select `+sessionState))
	}
	if n := pgtest.Value[int](t, own, `select count(*) from pgsolo.delivery`); n != 0 {
		t.Errorf("%d attempts have failed", n)
	}
}
