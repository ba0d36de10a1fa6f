package e2e

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/privatepg"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/replica"
)

// Rows that row security would hide are refused by name, and the leader goes on when it may read them again. Statements
// of the user keep the policies of their tables.
func TestRowSecurity(t *testing.T) {
	t.Parallel()
	server := pgtest.Server(t, privatepg.Options{TCP: true})
	admin := server.URL("postgres")
	conn := pgtest.Connect(t, admin)
	execute(t, conn, `create role app login password 'app'; create schema pgsolo authorization app`)
	u, err := url.Parse(admin)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("app", "app")
	if err := replica.Migrate(t.Context(), u.String(), "pgsolo"); err != nil {
		t.Fatal(err)
	}
	execute(t, conn, `create table effect (event_id bigint, seen bigint); create table ran (seen bigint);
		create table tenant (id int); insert into tenant values (1), (2);
		alter table tenant enable row level security; create policy own on tenant using (id = 1);
		grant select, insert on effect, ran, tenant to app`)
	path := configure(t, u.String(), calm+`
topic "t" {}
handler "h" {
  topic = "t"
  sql {
    statement = "insert into effect select $1, count(*) from tenant"
    args      = [event.id]
  }
}
cron "c" {
  schedule = "* * * * * *"
  missed   = "all"
  sql { statement = "insert into ran select count(*) from tenant" }
}`)
	is := func(what, query string, args ...any) {
		t.Helper()
		pgtest.Eventually(t, what, func() bool { return pgtest.Value[bool](t, conn, query, args...) })
	}
	events := 0
	works := func(p *process, after string) {
		t.Helper()
		execute(t, conn, `truncate ran`)
		is("ticks after "+after, `select count(*) > 0 from ran`)
		is("events after "+after, `select count(*) = $1 from effect`, events)
		if p.HasEnded() {
			t.Fatal("it has ended")
		}
	}
	emit := func() {
		t.Helper()
		execute(t, conn, `insert into pgsolo.event (topic) select 't' from generate_series(1, 3)`)
		events += 3
	}
	producer := pgtest.Connect(t, u.String())
	leader := start(t, nil, "run", "-c", path)
	emit()
	works(leader, "the start")
	for _, table := range []string{"event", "cursor", "cron_run", "cron_decision"} {
		force(t, conn, table, "")
		if _, err := producer.Exec(t.Context(), `select pgsolo.emit('t')`); err != nil != (table == "event") {
			t.Errorf("emit with row security on %s: %v", table, err)
		} else if err == nil {
			events++
		}
		emit()
		pgtest.Eventually(t, "a line about "+table, func() bool {
			return strings.Contains(leader.log.String(), fmt.Sprintf(`policy for table \"%s\"`, table))
		})
		force(t, conn, table, "no")
		works(leader, table)
	}
	tables := pgtest.Value[[]string](t, conn, `select array_agg(relname::text) from pg_class
		where relnamespace = 'pgsolo'::regnamespace and relkind = 'r' and relname !~ '^leader|migration$'`)
	for _, table := range tables {
		force(t, conn, table, "")
	}
	leader.kill()
	leader = start(t, nil, "run", "-c", path)
	pgtest.Eventually(t, "a refusal at the start", func() bool {
		return strings.Contains(leader.log.String(), "row security hides rows") && leader.is("/leader")
	})
	emit()
	for _, table := range tables {
		force(t, conn, table, "no")
	}
	works(leader, "a start")
	for line := range strings.Lines(leader.log.String()) {
		if strings.Contains(line, "database does not answer") && strings.Contains(line, "policy for table") ||
			strings.Contains(line, "the database refused") && strings.Contains(line, "policy for table") {
			t.Errorf("a refusal by row security is not called that: %s", line)
		}
	}
	if !pgtest.Value[bool](t, conn, `select count(distinct event_id) = count(*) and min(seen) = 1 and max(seen) = 1
		and (select min(seen) = 1 and max(seen) = 1 from ran) from effect`) {
		t.Error("an event was handled twice, or a statement of the user has seen hidden rows")
	}

	// Without its row nobody leads. Replicas that stand by wait, and say why.
	force(t, conn, "leader", "")
	leader.kill()
	standby := start(t, nil, "run", "-c", path)
	pgtest.Eventually(t, "a line about the leader's row", func() bool {
		return strings.Contains(standby.log.String(), `policy for table \"leader\"`)
	})
	force(t, conn, "leader", "no")
	pgtest.Eventually(t, "the next leader", func() bool { return standby.is("/leader") })
}

// force has even the owner of a table subject to its policies, of which there are none. no: not any more.
func force(t *testing.T, conn *pgx.Conn, table, no string) {
	t.Helper()
	able := "enable"
	if no != "" {
		able = "disable"
	}
	execute(t, conn, fmt.Sprintf(`alter table pgsolo.%s %s row level security, %s force row level security`,
		table, able, no))
}
