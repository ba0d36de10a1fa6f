package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// Two elections in one schema have leaders and terms that do not fence each other, and each runs what names it.
func TestTwoElections(t *testing.T) {
	url := pgtest.Database(t)
	path := configure(t, url, `
election "orders" {
  lease = "30s"
}
election "reports" {
  lease = "30s"
}
topic "t" {}
handler "first" {
  topic = "t"
  exec { command = ["true"] }
}
handler "second" {
  topic    = "t"
  election = "reports"
  exec { command = ["true"] }
}`)
	conn := pgtest.Connect(t, url)
	// Terms of the first are far ahead, as after many takeovers.
	const farAhead = `insert into pgsolo.leader (election, term) values ('orders', 50)`
	if _, err := conn.Exec(t.Context(), farAhead); err != nil {
		t.Fatal(err)
	}
	replicas := []*process{start(t, nil, "run", "-c", path), start(t, nil, "run", "-c", path)}
	leads := func(election string) (leaders int) {
		for _, p := range replicas {
			if p.is("/leader?election=" + election) {
				leaders++
			}
		}
		return leaders
	}
	pgtest.Eventually(t, "a leader of each", func() bool { return leads("orders") == 1 && leads("reports") == 1 })
	for n := range 3 {
		if _, err := conn.Exec(t.Context(), `insert into pgsolo.event (topic) values ('t')`); err != nil {
			t.Fatal(err)
		}
		pgtest.Eventually(t, "both handlers to be done", func() bool {
			return pgtest.Value[bool](t, conn, `select count(*) = 2 from pgsolo.cursor where done @> $1::bigint`, n+1)
		})
	}
	if replicas[0].is("/leader?election=absent") {
		t.Error("leads an election that there is not")
	}
	_, status := replicas[0].get("/v1/status")
	mustContain(t, status, `"election": "orders"`, `"election": "reports"`)
}

// Two elections of one process share its sessions. The process is frozen beyond the lease of one of them: the successor
// there ends what that leader has left, and nothing of the leader of the other one.
func TestLostElectionLeavesTheOther(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	elections := func(lease string) string {
		return `
election "short" {
  lease = "` + lease + `"
}
election "long" {
  lease = "1m"
}
topic "t" {}`
	}
	handlers := ""
	for _, name := range []string{"short", "long"} {
		handlers += `
handler "` + name + `" {
  topic    = "t"
  election = "` + name + `"
  sql {
    statement = "select pg_sleep(90) where $1 = 1"
    args      = [event.id]
  }
}`
	}
	conn := pgtest.Connect(t, url)
	first := start(t, nil, "run", "-c", configure(t, url, elections("2s")+handlers))
	leads := func(p *process, election string) func() bool {
		return func() bool { return p.is("/leader?election=" + election) }
	}
	pgtest.Eventually(t, "the leader of one", leads(first, "short"))
	pgtest.Eventually(t, "the leader of the other", leads(first, "long"))
	second := start(t, nil, "run", "-c", configure(t, url, elections("2s")+`
cron "never" {
  election = "short"
  schedule = "@yearly"
  exec { command = ["true"] }
}`))
	pgtest.Eventually(t, "the standby", func() bool { return second.is("/readyz") })
	jobstest.Emit(t, conn, "t", `1`)
	pids := func(prefix string) []int32 {
		return pgtest.Value[[]int32](t, conn, `select coalesce(array_agg(pid order by pid), '{}') from pg_stat_activity
			where datname = current_database() and application_name like $1 || '%'`, prefix)
	}
	pgtest.Eventually(t, "a statement of each", func() bool {
		return pgtest.Value[bool](t, conn, `select count(distinct application_name) = 2 from pg_stat_activity
			where datname = current_database() and state = 'active' and query like 'select pg_sleep(90)%'`)
	})

	first.freeze()
	long, short := pids("pgsolo long term "), pids("pgsolo short term ")
	if len(long) < 2 || len(short) < 2 {
		t.Fatalf("sessions: %v and %v", long, short)
	}
	pgtest.Eventually(t, "the successor of one", leads(second, "short"))
	if diff := cmp.Diff(long, pids("pgsolo long term ")); diff != "" {
		t.Errorf("sessions of the other one: -before +after\n%s", diff)
	}
	for _, pid := range pids("pgsolo short term ") {
		if slices.Contains(short, pid) {
			t.Errorf("session %d of the leader before is still there", pid)
		}
	}
	if leads(second, "long")() {
		t.Error("the other one has a successor")
	}
}

// A process with ten elections has a session for each, one pool and one listener, and no more of them than a fifth of
// what the database accepts.
func TestTenElectionsHaveFewSessions(t *testing.T) {
	t.Parallel()
	const replicas, elections, events = 3, 10, 5
	url := pgtest.Database(t)
	conn := pgtest.Connect(t, url)
	jobstest.MustExec(t, conn, `do $$ begin
			execute format('alter database %I connection limit 100', current_database());
		end $$`)
	var more strings.Builder
	more.WriteString("topic \"t\" {}\n")
	for n := range elections {
		more.WriteString(strings.ReplaceAll(`
election "e%" {
  lease = "30s"
}
handler "h%" {
  topic    = "t"
  election = "e%"
  sql { statement = "select pg_sleep(0.01)" }
}
cron "c%" {
  election = "e%"
  schedule = "* * * * * *"
  sql { statement = "select 1" }
}`, "%", fmt.Sprint(n)))
	}
	path := configure(t, url, more.String())
	for range replicas {
		start(t, nil, "run", "-c", path)
	}
	most := 0
	done := func(sql string, n int) func() bool {
		return func() bool {
			most = max(most, pgtest.Value[int](t, conn, `select count(*) from pg_stat_activity
				where datname = current_database() and application_name like 'pgsolo%'`))
			return pgtest.Value[int](t, conn, sql) == n
		}
	}
	pgtest.Eventually(t, "the claims", done(`select count(*) from pgsolo.cursor where configured`, elections))
	jobstest.MustExec(t, conn, `insert into pgsolo.event (topic) select 't' from generate_series(1, $1)`, events)
	pgtest.Eventually(t, "the events", done(`select count(*) from pgsolo.cursor where done @> 5::bigint`, elections))
	pgtest.Eventually(t, "the ticks",
		done(`select count(distinct job) from pgsolo.cron_run where outcome = 'ok'`, elections))
	if most > replicas*100/5 {
		t.Errorf("up to %d sessions, want %d at most", most, replicas*100/5)
	}
	t.Logf("up to %d sessions", most)
}
