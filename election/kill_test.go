package election_test

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// Three replicas, the leader is killed five times in a row, and each time another one leads within milliseconds: the
// kernel ends the sessions of the dead, and its successor waits in the lock's queue.
func TestKilledLeaders(t *testing.T) {
	t.Parallel()
	c := setupCluster(t, pgtest.Database(t), func(c *replicaConfig) { c.Work = "select 1" })
	leader, begun := c.startAll(3)
	var takeovers []time.Duration
	for range 5 * repeats() {
		c.standbys(2)
		c.working(begun.term)
		killed := time.Now()
		leader.signal(syscall.SIGKILL)
		<-leader.Ended()
		term := begun.term
		if leader, begun = c.leader(term); begun.term != term+1 {
			t.Errorf("term %d follows %d", begun.term, term)
		}
		takeovers = append(takeovers, begun.at.Sub(killed))
		c.wantEnded(term, "session lost")
		c.start()
	}
	slices.Sort(takeovers)
	t.Logf("from the kill to the next leader: %s", takeovers) // milliseconds, where nothing else keeps the machine busy
	if median := takeovers[len(takeovers)/2]; median > time.Second {
		t.Errorf("median %s, want milliseconds", median)
	}
	if longest := takeovers[len(takeovers)-1]; longest > tardy {
		t.Errorf("%s at the longest, want milliseconds", longest)
	}
}

// SQL of a killed leader goes on in the server until that looks whether the client is there, as its session has asked
// for. The successor waits for the end of it, and not for the lease.
func TestKilledLeadersStatementEndsFirst(t *testing.T) {
	t.Parallel()
	c := setupCluster(t, pgtest.Database(t), func(c *replicaConfig) {
		c.Work = "select pg_sleep(3600)"
	})
	c.start()
	leader, begun := c.leader(0)
	c.start()
	c.standbys(1)
	pid := c.working(begun.term)
	killed := time.Now()
	leader.signal(syscall.SIGKILL)
	_, next := c.leader(begun.term)
	var runs bool
	c.query(`select exists (select from pg_stat_activity where pid = $1)`, []any{pid}, &runs)
	if runs {
		t.Error("the successor leads while a statement of the leader before runs")
	}
	c.wantWithin("killed while its SQL runs", killed, next, 200*time.Millisecond+tardy)
	c.wantEnded(begun.term, "session lost")
}

// An administrator ends the session that holds the lock, and nothing else: the leader works on for a while, because it
// ignores the end of its context. The successor waits until the leader's other session is closed.
func TestTerminatedLockSession(t *testing.T) {
	t.Parallel()
	const ignore = 300 * time.Millisecond
	url := pgtest.Database(t)
	c := setupCluster(t, url, func(c *replicaConfig) { c.Ignore, c.Work = ignore, "select 1" })
	first := c.start()
	_, begun := c.leader(0)
	c.start()
	c.standbys(1)
	c.working(begun.term)
	terminated := time.Now()
	terminateLock(t, url)
	_, next := c.leader(begun.term)
	c.wantWithin("lock session terminated, context ignored for "+ignore.String(), terminated, next, ignore+tardy)

	cancelledAt, ended := c.marked(begun.term, cancelled, terminated), c.marked(begun.term, ends, terminated)
	if worked := ended.at.Sub(cancelledAt.at); worked < ignore {
		t.Errorf("it ignored its context for %s, want %s: the test is no test", worked, ignore)
	}
	first.wantLost()
	c.wantEnded(begun.term, "session lost")
}
