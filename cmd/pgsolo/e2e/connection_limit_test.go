package e2e

import (
	"net/url"
	"testing"

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
	const sessions = `select count(*) = $1 from pg_stat_activity where application_name = $2`
	pgtest.Eventually(t, "no session of the leader that it has not renamed yet", func() bool {
		return pgtest.Value[bool](t, conn, sessions, 0, "pgsolo main standby")
	})
	standby := start(t, nil, "run", "-c", path)
	pgtest.Eventually(t, "the standby's three sessions", func() bool {
		return pgtest.Value[bool](t, conn, sessions, 3, "pgsolo main standby") && standby.is("/standby")
	})
	exec(`alter role app connection limit 0`)
	leader.kill()
	pgtest.Eventually(t, "the standby to lead", func() bool { return standby.is("/leader") })
	exec(`insert into pgsolo.event (topic) values ('t')`)
	pgtest.Eventually(t, "the event to be done", func() bool {
		return pgtest.Value[bool](t, conn, `select coalesce(bool_and(done @> 1::bigint), false) from pgsolo.cursor`)
	})
	pgtest.Eventually(t, "its sessions to bear the term", func() bool {
		return pgtest.Value[bool](t, conn, sessions, 3, "pgsolo main term 2")
	})
}
