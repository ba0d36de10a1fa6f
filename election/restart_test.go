package election_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/privatepg"
)

// A replica that was alone is killed, and comes back: it waits for nothing.
func TestLoneReplicaComesBackAtOnce(t *testing.T) {
	t.Parallel()
	c := setupCluster(t, pgtest.Database(t), func(c *replicaConfig) { c.Work = "select 1" })
	first := c.start()
	_, begun := c.leader(0)
	c.working(begun.term)
	first.signal(syscall.SIGKILL)
	<-first.Ended()
	started := time.Now()
	c.start()
	_, next := c.leader(begun.term)
	c.wantWithin("killed and started again", started, next, tardy)
}

// The server restarts, and ends the sessions of a leader that does not notice, for it is frozen. The absence of
// sessions means nothing then: the successor waits until a lease after the restart.
func TestRestartedServerHidesAFrozenLeader(t *testing.T) {
	t.Parallel()
	for name, restart := range map[string]func(*testing.T, *cluster, *privatepg.Server){
		"restart": func(t *testing.T, _ *cluster, server *privatepg.Server) {
			if err := server.Restart(t.Context(), privatepg.Immediate); err != nil {
				t.Fatal(err)
			}
		},
		"crash": func(t *testing.T, c *cluster, _ *privatepg.Server) { crash(t, c) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := startServer(t, privatepg.Options{})
			c := setupCluster(t, server.URL("postgres"), func(c *replicaConfig) {
				c.Lease, c.AskHeld, c.Work = brief, true, "select 1"
			})
			frozen := c.start()
			_, begun := c.leader(0)
			c.working(begun.term)
			frozen.signal(syscall.SIGSTOP)
			stopped := time.Now()
			restart(t, c, server)
			c.conn = nil
			back := time.Now()
			c.start()
			_, next := c.leader(begun.term)
			c.wantWithin("the server is back", back, next, brief+tardy)
			if took := next.at.Sub(stopped); took < brief {
				t.Errorf("the successor leads %s after the server stopped, want a lease at least", took)
			}
			frozen.signal(syscall.SIGCONT)
			frozen.wantLost()
			c.marked(next.term, works, time.Now())
		})
	}
}

// The leader of before has ended, and so has the lease since the restart: nothing is left to wait for.
func TestReplicaComesLongAfterARestart(t *testing.T) {
	t.Parallel()
	server := startServer(t, privatepg.Options{})
	c := setupCluster(t, server.URL("postgres"), func(c *replicaConfig) { c.Lease = 2 * brief })
	first := c.start()
	_, begun := c.leader(0)
	first.signal(syscall.SIGKILL)
	<-first.Ended()
	if err := server.Restart(t.Context(), privatepg.Fast); err != nil {
		t.Fatal(err)
	}
	c.conn = nil
	pgtest.Eventually(t, "a lease since the restart", func() (over bool) {
		c.query(`select clock_timestamp() - pg_postmaster_start_time() > $1`, []any{2 * brief}, &over)
		return over
	})
	started := time.Now()
	c.start()
	_, next := c.leader(begun.term)
	c.wantWithin("long after a restart", started, next, tardy)
}

// The server crashes, and restarts by itself, while the old leader is there to say that it has stopped: its successor
// does not wait for the lease.
func TestCrashCostsNoLeaseWhereTheLeaderSaysThatItStopped(t *testing.T) {
	t.Parallel()
	server := startServer(t, privatepg.Options{})
	c := setupCluster(t, server.URL("postgres"), func(c *replicaConfig) { c.Work = "select 1" })
	leader, begun := c.startAll(2)
	c.working(begun.term)
	crashed := time.Now()
	crash(t, c)
	c.conn = nil
	_, next := c.leader(begun.term)
	c.wantWithin("crashed", crashed, next, 5*time.Second+tardy) // the longest pause between tries
	leader.wantLost()
	c.wantEnded(begun.term, "session lost")
}

// crash makes the server restart as after a crash, by the death of a session.
func crash(t *testing.T, c *cluster) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), c.config.URL)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(int(conn.PgConn().PID()), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := conn.Ping(t.Context()); err == nil {
		t.Fatal("the session outlived its process")
	}
}
