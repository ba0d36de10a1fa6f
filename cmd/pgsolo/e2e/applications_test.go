package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// statusOf is what a replica says of its first election.
type statusOf struct {
	Fingerprint       string
	LeaderFingerprint string `json:"leader_fingerprint"`
	Held              []struct{ Kind, Name, By, Remedy string }
	Undeclared        []struct {
		Kind, Name, Remedy string
		Rows               int64
	}
}

func (p *process) said() (s statusOf) {
	p.t.Helper()
	_, body := p.get("/v1/status")
	if err := json.Unmarshal([]byte(body), &s); err != nil {
		p.t.Fatalf("%v in %s", err, body)
	}
	return s
}

func execute(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

// Two applications in one schema with a handler and a job of one name: the later one's are held, and the rest of it
// runs. When the first one has gone, they go on where that was.
func TestTwoApplications(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	conn := pgtest.Connect(t, url)
	execute(t, conn, `create table effect (application text, event_id bigint)`)
	application := func(election, handler string) string {
		sql := `
  topic = "t"
  sql {
    statement = "insert into effect values ('` + election + `', $1)"
    args      = [event.id]
  }
}
`
		return `
election "` + election + `" { lease = "30s" }
topic "t" {}
handler "audit" {` + sql + `
handler "` + handler + `" {` + sql + `
cron "cleanup" {
  schedule = "@hourly"
  exec { command = ["true"] }
}`
	}
	billing := start(t, nil, "run", "-c", configure(t, url, application("billing", "bill")))
	is := func(what, query string) {
		t.Helper()
		pgtest.Eventually(t, what, func() bool { return pgtest.Value[bool](t, conn, query) })
	}
	is("its claim", `select count(*) = 2 from pgsolo.cursor`)
	is("its job", `select count(*) = 1 from pgsolo.cron_job`)
	is("its lock", `select pgsolo.is_led('billing')`)
	search := start(t, nil, "run", "-c", configure(t, url, application("search", "index")))
	pgtest.Eventually(t, "the second one's names to be held", func() bool { return len(search.said().Held) == 2 })
	for _, h := range search.said().Held {
		if h.By != "billing" || !strings.Contains(h.Remedy, "schema of its own") {
			t.Errorf("held: %+v", h)
		}
	}
	execute(t, conn, `select pgsolo.emit('t')`)
	is("the first event", `select (select array_agg(application order by application) from effect where event_id = 1)
		is not distinct from '{billing,billing,search}'`)
	for _, p := range []*process{billing, search} {
		if !p.is("/readyz") || !p.is("/leader") {
			t.Error("a leader of one of two applications is not ready")
		}
	}
	_, metrics := search.get("/metrics")
	mustContain(t, metrics, `pgsolo_handler_held{by="billing",handler="audit"} 1`,
		`pgsolo_cron_held{by="billing",job="cleanup"} 1`)
	billing.kill()
	pgtest.Eventually(t, "nothing to be held", func() bool { return len(search.said().Held) == 0 })
	execute(t, conn, `select pgsolo.emit('t')`)
	is("the second event", `select (select count(*) from effect where application = 'search' and event_id = 2) = 2`)
	is("the effects", `select count(*) = 5 from effect`)
}

// A leader that takes over says what differs from its predecessor's configuration, a standby what the leader does not
// run of its own, and both show the fingerprints.
func TestConfigurationsThatDiffer(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	conn := pgtest.Connect(t, url)
	const handler = `
handler "%s" {
  topic = "t"
  exec { command = ["%s"] }
}
`
	named := func(name, command string) string {
		return strings.Replace(strings.Replace(handler, "%s", name, 1), "%s", command, 1)
	}
	first := start(t, nil, "run", "-c", configure(t, url, `topic "t" {}`+named("kept", "true")+named("gone", "true")))
	pgtest.Eventually(t, "its declaration", func() bool {
		return pgtest.Value[bool](t, conn, `select count(*) = 2 from pgsolo.configuration`)
	})
	execute(t, conn, `select pgsolo.emit('t'), pgsolo.emit('t'), pgsolo.emit('t')`)
	second := start(t, nil, "run", "-c",
		configure(t, url, `topic "t" {}`+named("kept", "false")+named("added", "true")))
	pgtest.Eventually(t, "the standby's warning", func() bool {
		return strings.Contains(second.log.String(), "the leader does not run what this replica's configuration has")
	})
	mustContain(t, second.log.String(), "the leader has another configuration than this replica",
		`not_run=["handler added"]`)
	if s := second.said(); s.Fingerprint == s.LeaderFingerprint || s.LeaderFingerprint != first.said().Fingerprint {
		t.Errorf("fingerprints: %+v, and of the leader %+v", s, first.said())
	}
	first.kill()
	pgtest.Eventually(t, "the successor's line", func() bool {
		return strings.Contains(second.log.String(), "differs from that of the leader before")
	})
	mustContain(t, second.log.String(), `new=["handler added (begins at id 1, 3 events)"]`, `gone=["handler gone"]`,
		`changed=["handler kept"]`)
	pgtest.Eventually(t, "what is held back", func() bool { return len(second.said().Undeclared) > 0 })
	for _, u := range second.said().Undeclared {
		if u.Kind != "handler" || u.Name != "gone" || u.Remedy != "select pgsolo.forget_handler('gone')" {
			t.Errorf("undeclared: %+v", u)
		}
	}
	_, metrics := second.get("/metrics")
	mustContain(t, metrics, `pgsolo_undeclared_rows{election="main",kind="handler",topic="t",undeclared="gone"}`,
		`pgsolo_election_leader_fingerprint_info{fingerprint="`+second.said().Fingerprint+`",name="main"} 1`)
	execute(t, conn, `select pgsolo.forget_handler('gone')`)
	if _, err := conn.Exec(t.Context(), `select pgsolo.forget_handler('kept')`); err == nil {
		t.Error("a handler could be forgotten that the leader declares")
	}
}
