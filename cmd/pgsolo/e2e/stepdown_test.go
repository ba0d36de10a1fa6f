package e2e

import (
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// A leader that has handed over keeps no session that bears its term, for which a later successor would wait.
func TestTakeoverAfterAHandover(t *testing.T) {
	url := pgtest.Database(t)
	path := configure(t, url, "election \"main\" {\n  lease = \"10s\"\n}\n"+`
topic "t" {}
handler "h" {
  topic = "t"
  exec { command = ["true"] }
}`)
	conn := pgtest.Connect(t, url)
	exec := func(sql string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	first := start(t, nil, "run", "-c", path)
	pgtest.Eventually(t, "first leader", func() bool { return first.is("/leader") })
	second := start(t, nil, "run", "-c", path)
	pgtest.Eventually(t, "standby", func() bool { return second.is("/standby") })
	exec(`insert into pgsolo.event (topic) values ('t')`) // so that sessions of the pool are in use
	exec(`select pgsolo.step_down('main')`)
	pgtest.Eventually(t, "second leader", func() bool { return second.is("/leader") })
	pgtest.Eventually(t, "first to stand by", func() bool { return first.is("/standby") })
	killed := time.Now()
	second.kill()
	pgtest.Eventually(t, "first leader again", func() bool { return first.is("/leader") })
	t.Logf("first leads again after %s", time.Since(killed).Round(time.Millisecond))
	ended := pgtest.Value[string](t, conn, `select ended from pgsolo.leader_term where term = 2`)
	if ended != "session lost" {
		t.Errorf("the second term ended %q, want that its session was lost", ended)
	}
}
