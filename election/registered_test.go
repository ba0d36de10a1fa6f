package election_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/election"
)

// Who takes part, and who leads, is known to any role as long as the sessions last, whatever rows are left behind.
func TestReplicasAreKnown(t *testing.T) {
	url := pgtest.Database(t)
	as := func(node, name string) func(*election.Options) {
		return func(o *election.Options) {
			o.Holder, o.Name, o.Address, o.Version, o.Fingerprint = node, name, "http://"+node, "1.2", "f"
		}
	}
	leader := setup(t, url, as("a", "main"))
	pgtest.Within(t, "leader", leader.leading)
	other := setup(t, url, as("b", "main"))
	setup(t, url, as("a", "second"))
	conn := pgtest.Connect(t, url)
	expect := func(when, want string) {
		t.Helper()
		var got string
		defer func() {
			if got != want {
				t.Errorf("%s: %q, want %q", when, got, want)
			}
		}()
		pgtest.Eventually(t, when, func() bool {
			got = pgtest.Value[string](t, conn, `select coalesce(string_agg(concat_ws(' ', election, node, address,
				version, fingerprint, term), ', ' order by election, node), '') from pgsolo.replica`)
			return got == want
		})
	}
	expect("three sessions", "main a http://a 1.2 f 1, main b http://b 1.2 f, second a http://a 1.2 f 2")

	// A row of the dead, an old one, and one that was restored: none of them is a replica.
	for _, statement := range []string{
		`insert into pgsolo.replica_session values (1, 'main', 'dead', '', '', '', now())`,
		`insert into pgsolo.replica_session values (2, 'main', 'old', '', '', '', now() - interval '25 hours')`,
		`update pgsolo.replica_session set since = now() - interval '25 hours' where node = 'b'`,
	} {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	const lock = `select pg_advisory_lock($1::oid::int, 1), pg_advisory_lock($1::oid::int, 2)` // which says nothing
	class := pgtest.Value[uint32](t, conn, `select 'pgsolo.replica_session'::regclass::oid`)
	if _, err := stranger(t, url).Exec(t.Context(), lock, class); err != nil {
		t.Fatal(err)
	}
	leader.stop()
	pgtest.Within(t, "successor", other.leading)
	setup(t, url, as("c", "main"))
	expect("after a handover",
		"main b http://b 1.2 f 3, main c http://c 1.2 f, second a http://a 1.2 f 2")
	rows := pgtest.Value[string](t, conn,
		`select string_agg(node, ' ' order by node) from pgsolo.replica_session where election = 'main'`)
	if rows != "a b c dead" {
		t.Errorf("rows of %q, want those of the living and of those that have gone lately", rows)
	}
}

// A role that led before the table was there may use it after the migration.
func TestRolesOfBeforeRegister(t *testing.T) {
	url := pgtest.Database(t)
	conn := pgtest.Connect(t, url)
	role := "lead_" + pgtest.Value[string](t, conn, `select current_database()`)
	text, err := os.ReadFile("migrations/0004_replica.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		`drop table pgsolo.replica_session cascade`, `create role "` + role + `"`,
		`grant insert, update on pgsolo.leader to "` + role + `"`, string(text),
	} {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		_, _ = conn.Exec(context.Background(), `drop owned by "`+role+`"; drop role "`+role+`"`)
	})
	if !pgtest.Value[bool](t, conn, `select has_table_privilege($1, 'pgsolo.replica_session', 'select, insert')
		and has_table_privilege($1, 'pgsolo.replica_session', 'delete')
		and has_table_privilege($1, 'pgsolo.replica', 'select')`, role) {
		t.Error("the role may not use the table")
	}
}

// A table of replicas that nobody may use, that another session has locked, or that is not there keeps nobody from
// leading.
func TestListOfReplicasIsOptional(t *testing.T) {
	for name, statement := range map[string]string{
		"locked": `lock table pgsolo.replica_session`,
		"gone":   `drop table pgsolo.replica_session cascade`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := pgtest.Database(t)
			pgtest.Within(t, "leader", setup(t, url, func(o *election.Options) { o.Name = "first" }).leading)
			conn := pgtest.Connect(t, url)
			if _, err := conn.Exec(t.Context(), "begin; "+statement); err != nil {
				t.Fatal(err)
			}
			if name == "gone" {
				if _, err := conn.Exec(t.Context(), "commit"); err != nil {
					t.Fatal(err)
				}
			}
			began := time.Now()
			pgtest.Within(t, "leader", setup(t, url).leading)
			t.Logf("led after %s", time.Since(began))
		})
	}
}

// What a connection string says of the driver's modes makes no difference.
func TestModesOfTheDriver(t *testing.T) {
	for _, mode := range []string{
		"default_query_exec_mode=exec", "default_query_exec_mode=simple_protocol", "statement_cache_capacity=0",
	} {
		leader := setup(t, pgtest.Database(t)+"&"+mode)
		pgtest.Within(t, "leader", leader.leading)
	}
}
