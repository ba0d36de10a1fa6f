package e2e

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/command"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/fleet"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

const rareCron = `
cron "rare" {
  schedule = "*/5 * * * * *"
  webhook { url = %q }
}`

// A job whose schedule is rarer than the restarts of its replicas: each of its ticks is started once.
func TestRareCronUnderRestarts(t *testing.T) {
	t.Parallel()
	w := startWitness(t, nil)
	r := startReplicas(t, pgtest.Database(t), fmt.Sprintf(rareCron, w.URL), 1)
	current, term := r.leader(0)
	for w.attempts() < 2 || int64(w.attempts()) >= term { // more terms than ticks, however long a start takes
		<-time.After(rand.N(500 * time.Millisecond)) // which is no wait for anything: any moment will do
		r.start()
		current.signal(syscall.SIGTERM)
		current, term = r.leader(term)
	}
	current.signal(syscall.SIGTERM)
	for _, p := range r.all {
		if code := p.exit(); code != command.ExitDone {
			t.Errorf("exit code %d, want %d", code, command.ExitDone)
		}
	}
	rows := r.rows("rare", time.Now())
	for i, row := range rows {
		if i > 0 && row.At.Sub(rows[i-1].At) != 5*time.Second {
			t.Errorf("after the tick of %s comes %+v", rows[i-1].At, row)
		}
		if starts := w.check(row); row.Outcome != "ok" || len(starts) != 1 {
			t.Errorf("started in the attempts %v: %+v", starts, row)
		}
	}
	t.Logf("%d ticks in %d terms", len(rows), term)
}

// The history is purged by hand after each tick, and the leader is killed: no tick is started twice.
func TestPurgedHistoryUnderKills(t *testing.T) {
	t.Parallel()
	w := startWitness(t, nil)
	r := startReplicas(t, pgtest.Database(t), fmt.Sprintf(rareCron, w.URL), 1)
	current, term := r.leader(0)
	for i, purge := range []string{`delete from pgsolo.cron_run`, `truncate pgsolo.cron_run`} {
		pgtest.Eventually(t, "a tick", func() bool { return w.attempts() > i })
		r.exec(purge)
		current.kill()
		<-current.ended
		r.start()
		current, term = r.leader(term)
	}
	pgtest.Eventually(t, "a tick", func() bool { return w.attempts() > 2 })
	w.Read(func(seen fleet.Tally) {
		for at, n := range seen.Starts() {
			if n > 1 {
				t.Errorf("the tick of %s was started %d times", at, n)
			}
		}
	})
}
