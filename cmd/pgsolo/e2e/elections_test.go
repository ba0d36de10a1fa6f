package e2e

import (
	"testing"

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
