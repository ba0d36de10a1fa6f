package election_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/privatepg"
)

// A leader is stopped for longer than its lease. Its kernel keeps its connections up, so that only the server can end them.
// When it goes on it does nothing more in its term, because it asks Term.Held before each effect, and ends.
func TestFrozenLeader(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ work, ended string }{
		"only the lock":     {"", "lease expired"},
		"another session":   {"select 1", "fenced"},
		"running statement": {"select pg_sleep(3600)", "fenced"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := setupCluster(t, privatepg.Database(t), func(c *replicaConfig) {
				c.Lease, c.AskHeld, c.Work = time.Second, true, test.work
			})
			c.start()
			frozen, begun := c.leader(0)
			for range repeats() {
				c.start()
				c.standbys(1)
				if test.work != "" {
					c.working(begun.term)
				}
				stopped := time.Now()
				frozen.signal(syscall.SIGSTOP)
				successor, next := c.leader(begun.term)
				c.wantWithin("frozen", stopped, next, c.silent())
				c.marked(next.term, works, next.at)
				frozen.signal(syscall.SIGCONT)
				frozen.wantLost()
				c.marked(next.term, works, time.Now())
				c.wantEnded(begun.term, test.ended)
				frozen, begun = successor, next
			}
		})
	}
}

// A standby that is stopped at the head of the queue inherits the lock when the leader dies. The server takes it away again:
// a session that is silent for the lease ends, and one that has not led yet is no exception. When the standby goes on, it
// stands by.
func TestFrozenStandbyInheritsTheLock(t *testing.T) {
	t.Parallel()
	const poll = 900 * time.Millisecond
	c := setupCluster(t, privatepg.Database(t), func(c *replicaConfig) { c.Lease, c.PollInterval = time.Second, poll })
	c.start()
	leader, begun := c.leader(0)
	byBackend := map[int]*process{}
	standbys := []*process{c.start(), c.start()}
	c.standbys(2)
	for _, p := range standbys {
		byBackend[p.backend()] = p
	}

	// Whoever has waited longest is the head. Two standbys are out of step, so that one of them is sometimes at the head early
	// in its slice.
	var head int
	eventually(t, "a head of the queue that stays there", func() (early bool) {
		c.query(`select coalesce(min(pid) filter (where place = 1), 0), coalesce(bool_or(waited < $2) filter (where place = 1), false)
			from (select k.pid, clock_timestamp() - k.waitstart as waited, rank() over (order by k.waitstart) as place
				from pg_locks k where not k.granted and k.waitstart is not null and `+ourLock+`) q
			having count(*) = 2`, []any{c.config.Name, poll * 6 / 10}, &head, &early)
		return early
	})
	frozen := byBackend[head]
	if frozen == nil {
		t.Fatalf("session %d is at the head, and is none of %v", head, byBackend)
	}
	frozen.signal(syscall.SIGSTOP)
	killed := time.Now()
	leader.signal(syscall.SIGKILL)
	eventually(t, "the frozen standby to inherit the lock", func() (inherited bool) {
		c.query(`select exists (select from pg_locks k where k.granted and k.pid = $2 and `+ourLock+`)`,
			[]any{c.config.Name, head}, &inherited)
		return inherited
	})
	successor, next := c.leader(begun.term)
	if successor == frozen {
		t.Fatal("the frozen standby leads")
	}
	c.wantWithin("a frozen standby inherited the lock", killed, next, c.silent())

	frozen.signal(syscall.SIGCONT)
	c.standbys(1)
	if frozen.backend() == head {
		t.Error("the standby still has the session that the server ended")
	}
	frozen.wantAlive()
	c.marked(next.term, works, time.Now())
}
