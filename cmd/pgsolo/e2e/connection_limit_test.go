package e2e

import (
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/privatepg"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/replica"
)

// A standby has opened what it needs to lead: it takes over, and handles events, when the server accepts no more
// connections.
func TestTakeoverAtTheConnectionLimit(t *testing.T) {
	server := pgtest.Server(t, privatepg.Options{TCP: true})
	admin := server.URL("postgres")
	conn := pgtest.Connect(t, admin)
	exec := func(sql string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	exec(`create role app login password 'app'; create schema pgsolo authorization app`)
	u, err := url.Parse(admin)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("app", "app")
	if err := replica.Migrate(t.Context(), u.String(), "pgsolo"); err != nil { // without the right to create a schema
		t.Fatal(err)
	}
	path := configure(t, u.String(), `
topic "t" {}
handler "h" {
  topic = "t"
  exec { command = ["true"] }
}`)
	leader := start(t, nil, "run", "-c", path)
	pgtest.Eventually(t, "leader", func() bool { return leader.is("/leader") })
	sessions := func(counts map[string]int) func() bool {
		return func() bool {
			return cmp.Equal(counts, pgtest.Value[map[string]int](t, conn, `select jsonb_object_agg(name, n) from (
				select application_name as name, count(*) as n from pg_stat_activity where usename = 'app' group by 1) s
				where name <> 'pgsolo main term 1'`))
		}
	}
	pgtest.Eventually(t, "the leader's sessions", sessions(map[string]int{"pgsolo idle": 1, "pgsolo listener": 1}))
	standby := start(t, nil, "run", "-c", path)
	pgtest.Eventually(t, "the standby's three sessions", func() bool {
		return standby.is("/standby") &&
			sessions(map[string]int{"pgsolo idle": 2, "pgsolo listener": 2, "pgsolo main standby": 1})()
	})
	exec(`alter role app connection limit 0`)
	leader.kill()
	pgtest.Eventually(t, "the standby to lead", func() bool { return standby.is("/leader") })
	exec(`insert into pgsolo.event (topic) values ('t')`)
	pgtest.Eventually(t, "the event to be done", func() bool {
		return pgtest.Value[bool](t, conn, `select coalesce(bool_and(done @> 1::bigint), false) from pgsolo.cursor`)
	})
	pgtest.Eventually(t, "its sessions to bear the term",
		sessions(map[string]int{"pgsolo listener": 1, "pgsolo main term 2": 2}))
}
