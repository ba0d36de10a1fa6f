package election_test

import (
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// A standby is told to stop at a step of winning. It ends in order, without having led, and leaves no term that has not
// ended: one that the server begins meanwhile is resigned. So the next leader waits for nothing.
func TestStopWhileItWins(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		hold    string // keeps the standby at the step until the end of the transaction
		waits   string // tells its lock k when it is there
		begins  int    // terms
		crashed bool   // the leader before did not resign
	}{
		"it waits for the lock": {
			hold: `select pg_advisory_xact_lock('pgsolo.leader'::regclass::oid::bigint::int, lock_id)
				from pgsolo.leader`,
			waits: `not k.granted and k.classid = 'pgsolo.leader'::regclass and k.objid <> 0`,
		},
		"it waits for sessions of the leader before": {
			hold:    `set local application_name = 'pgsolo main term 1'`,
			waits:   `k.granted and k.classid = 'pgsolo.leader'::regclass and k.objid <> 0`,
			crashed: true,
		},
		"the term begins": {
			hold:   `select pg_advisory_xact_lock('pgsolo.leader'::regclass::oid::bigint::int, 0)`,
			waits:  `not k.granted and k.classid = 'pgsolo.leader'::regclass and k.objid = 0`,
			begins: 1,
		},
		"the row of the leader is written": {
			hold:   `select from pgsolo.leader for update`,
			waits:  `not k.granted and k.locktype = 'transactionid'`,
			begins: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := pgtest.Database(t)
			conn, watcher := pgtest.Connect(t, url), pgtest.Connect(t, url)
			exec := func(sql string) {
				t.Helper()
				if _, err := conn.Exec(t.Context(), sql); err != nil {
					t.Fatal(err)
				}
			}
			first := setup(t, url)
			pgtest.Within(t, "the first leader", first.leading)
			first.stop()
			pgtest.Within(t, "its end", first.ended)
			if test.crashed {
				exec(`update pgsolo.leader set clean = false;
					update pgsolo.leader_term set until = null, ended = null`)
			}
			exec(`begin; ` + test.hold)
			r := setup(t, url)
			const there = `select exists (select from pg_locks k join pg_stat_activity a using (pid)
				where a.datname = current_database() and a.application_name like 'pgsolo % standby' and `
			pgtest.Eventually(t, "the step", func() bool {
				return pgtest.Value[bool](t, watcher, there+test.waits+`)`)
			})
			r.stop()
			exec(`commit; reset application_name`)
			if err := pgtest.Within(t, "the end", r.ended); err != nil {
				t.Error(err)
			}
			if len(r.leading) > 0 {
				t.Error("it has led")
			}
			begun := pgtest.Value[int](t, conn, `select count(*) - 1 from pgsolo.leader_term`)
			ended := pgtest.Value[bool](t, conn, `select l.clean and t.ended = 'resigned'
				from pgsolo.leader l join pgsolo.leader_term t using (election, term)`)
			if begun != test.begins || ended == test.crashed {
				t.Errorf("%d terms have begun, and the last has ended as planned: %t", begun, ended)
			}
		})
	}
}

// A term whose beginning took too much of the lease is given back, rather than left as that of a leader that crashed.
func TestTermThatBeganLateIsResigned(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	conn, watcher := pgtest.Connect(t, url), pgtest.Connect(t, url)
	const hold = `begin; select pg_advisory_xact_lock('pgsolo.leader'::regclass::oid::bigint::int, 0)`
	if _, err := conn.Exec(t.Context(), hold); err != nil {
		t.Fatal(err)
	}
	r := setup(t, url, briefly)
	pgtest.Eventually(t, "a late beginning", func() bool {
		return pgtest.Value[bool](t, watcher, `select exists (select from pg_locks
			where classid = 'pgsolo.leader'::regclass and objid = 0 and not granted
				and database = (select oid from pg_database where datname = current_database())
				and clock_timestamp() - waitstart > $1)`, brief*3/10)
	})
	if _, err := conn.Exec(t.Context(), `commit`); err != nil {
		t.Fatal(err)
	}
	if term := pgtest.Within(t, "a leader", r.leading); term.Number != 2 {
		t.Errorf("it leads with term %d, want the second", term.Number)
	}
	ended := pgtest.Value[string](t, watcher, `select ended from pgsolo.leader_term where term = 1`)
	if ended != "resigned" {
		t.Errorf("the first term has ended as %q", ended)
	}
}
