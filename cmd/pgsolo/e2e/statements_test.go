package e2e

import (
	"syscall"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// A leader is killed, frozen or stopped while it runs a long statement for a cron job and another for an event. Its
// successor begins its own when the server has ended both, or they would note an overlap.
func TestLeaderThatFailsLeavesNoStatement(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		signal syscall.Signal
		// From the failure to the next leader's statements, on a busy machine; the statements take a minute.
		bound time.Duration
	}{
		"killed":  {syscall.SIGKILL, 15 * time.Second},
		"frozen":  {syscall.SIGSTOP, 25 * time.Second},
		"stopped": {syscall.SIGTERM, 15 * time.Second},
	} {
		t.Run(name, func(t *testing.T) { testFailureDuringStatements(t, test.signal, test.bound) })
	}
}

func testFailureDuringStatements(t *testing.T, signal syscall.Signal, bound time.Duration) {
	url := pgtest.Database(t)
	conn := pgtest.Connect(t, url)
	for _, statement := range []string{
		`create table effect (id bigint, term bigint)`,
		`create sequence overlapped`,
		// What is rolled back leaves its mark in sequences: a statement that finds the lock taken works beside another.
		// It is free again as soon as the statement has ended, even before its session has.
		`create function work(what int, term bigint) returns void language plpgsql as $$ begin
			if not pg_try_advisory_xact_lock(4711, what) then perform nextval('overlapped'); end if;
			perform nextval(format('began_%s_%s', what, term)::regclass);
			perform pg_sleep(60);
		end $$`,
		`create sequence began_1_1`, `create sequence began_2_1`,
		`create sequence began_1_2`, `create sequence began_2_2`,
	} {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	path := configure(t, url, `
election "main" {
  drain = "0s"
}
topic "t" {}
handler "h" {
  topic   = "t"
  timeout = "5m"
  sql {
    statement = "with worked as materialized (select work(1, $2)) insert into effect select $1, $2 from worked"
    args      = [event.id, event.term]
  }
}
cron "c" {
  schedule     = "* * * * * *"
  on_interrupt = "retry"
  sql {
    statement = "select work(2, $1)"
    args      = [run.term]
  }
}`)
	leader := start(t, nil, "run", "-c", path)
	began := func(term int) (n int) {
		const both = `select (select is_called::int from began_1_1) + (select is_called::int from began_2_1),
			(select is_called::int from began_1_2) + (select is_called::int from began_2_2)`
		var counts [2]int
		if err := conn.QueryRow(t.Context(), both).Scan(&counts[0], &counts[1]); err != nil {
			t.Fatal(err)
		}
		return counts[term-1]
	}
	pgtest.Eventually(t, "the topic", func() bool {
		_, err := conn.Exec(t.Context(), `insert into pgsolo.event (topic) values ('t')`)
		return err == nil
	})
	pgtest.Eventually(t, "both statements", func() bool { return began(1) == 2 })
	successor := start(t, nil, "run", "-c", path)
	pgtest.Eventually(t, "the standby", func() bool { return successor.is("/readyz") })

	failed := time.Now()
	leader.signal(signal)
	pgtest.Eventually(t, "the statements of the next leader", func() bool { return began(2) == 2 })
	took := time.Since(failed)
	const countSessions = `select count(*) from pg_stat_activity
		where datname = current_database() and application_name like '%term 1'`
	sessions := pgtest.Value[int](t, conn, countSessions)
	since := pgtest.Value[time.Time](t, conn, `select since from pgsolo.leader`)
	t.Logf("from the failure to the next leader %s, to its statements %s", since.Sub(failed), took)
	overlapped := pgtest.Value[bool](t, conn, `select is_called from overlapped`)
	if effects := pgtest.Value[int](t, conn, `select count(*) from effect`); overlapped || effects != 0 {
		t.Errorf("overlapped: %t, %d effects", overlapped, effects)
	}
	if signal == syscall.SIGTERM { // a successor does not wait for a leader that has resigned and closes its sessions
		pgtest.Eventually(t, "the sessions of the first leader to end", func() bool {
			return pgtest.Value[int](t, conn, countSessions) == 0
		})
	} else if sessions != 0 {
		t.Errorf("%d sessions of the first leader", sessions)
	}
	if took > bound {
		t.Errorf("it took more than %s", bound)
	}
}
