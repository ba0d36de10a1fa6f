package e2e

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/command"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/privatepg"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/replica"
)

var listenerUp = regexp.MustCompile(`listener: session established: .*pid=(\d+)`)

// listenerPID waits for the listener's nth session, counted from 1, and returns its process.
func (p *process) listenerPID(n int) int {
	p.t.Helper()
	var found [][]string
	pgtest.Eventually(p.t, "the listener's session "+strconv.Itoa(n), func() bool {
		found = listenerUp.FindAllStringSubmatch(p.log.String(), -1)
		return len(found) >= n
	})
	pid, err := strconv.Atoi(found[n-1][1])
	if err != nil {
		p.t.Fatal(err)
	}
	return pid
}

// A leader outlives brief losses of its LISTEN session. It ends when no other session is to be had, as an unhealthy one
// does, after it has handed over.
func TestLeaderWhoseListenerGivesUp(t *testing.T) {
	server := pgtest.Server(t, privatepg.Options{TCP: true})
	conn := pgtest.Connect(t, server.URL("postgres"))
	exec := func(sql string, arguments ...any) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql, arguments...); err != nil {
			t.Fatal(err)
		}
	}
	exec(`create role app login password 'app'`)
	exec(`create schema pgsolo authorization app`)
	u, err := url.Parse(server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("app", "app")
	if err := replica.Migrate(t.Context(), u.String(), "pgsolo"); err != nil {
		t.Fatal(err)
	}
	p := start(t, nil, "run", "-c", configure(t, u.String(), `
topic "t" {}
handler "h" {
  topic = "t"
  exec { command = ["true"] }
}`))
	pgtest.Eventually(t, "leader", func() bool { return p.is("/leader") })
	subscribed := func() bool {
		_, metrics := p.get("/metrics")
		return strings.Contains(metrics, `pgsolo_listener_subscriptions 1`+"\n")
	}
	pgtest.Eventually(t, "a subscription", subscribed)

	const terminate = `select pg_terminate_backend($1)`
	for blip := 1; blip <= 3; blip++ {
		pid := p.listenerPID(blip)
		exec(`alter role app connection limit 0`)
		exec(terminate, pid)
		pgtest.Eventually(t, "an attempt that fails", func() bool {
			return strings.Count(p.log.String(), "cannot connect, will retry") == blip
		})
		exec(`alter role app connection limit -1`)
	}
	pid := p.listenerPID(4)
	if s := p.status(); isClosed(p.ended) || !p.is("/leader") || s.Term != 1 {
		t.Errorf("after three blips: %+v", s)
	}
	_, metrics := p.get("/metrics")
	mustContain(t, metrics, `pgsolo_listener_reconnects_total 3`)

	exec(`alter role app nologin`)
	exec(terminate, pid)
	if code := p.exit(); code != command.ExitUnhealthy {
		t.Errorf("exit code %d, want %d", code, command.ExitUnhealthy)
	}
	mustContain(t, p.log.String(), "the leader cannot go on", "not permitted to log in")
	var clean bool
	if err := conn.QueryRow(t.Context(), `select clean from pgsolo.leader`).Scan(&clean); err != nil || !clean {
		t.Errorf("resigned: %v, error %v", clean, err)
	}
}
