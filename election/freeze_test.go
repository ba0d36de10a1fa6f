package election_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// A leader is stopped for longer than its lease. Its kernel keeps its connections up, so that only the server can end
// them. When it goes on it does nothing more in its term, because it asks Term.Held before each effect, and ends.
func TestFrozenLeader(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ work, ended string }{
		"only the lock":     {"", "lease expired"},
		"another session":   {"select 1", "fenced"},
		"running statement": {"select pg_sleep(3600)", "fenced"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := setupCluster(t, pgtest.Database(t), func(c *replicaConfig) {
				c.Lease, c.AskHeld, c.Work = brief, true, test.work
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

// A standby that is stopped at the head of the queue inherits the lock when the leader dies. The server takes it away
// again long before the end of a lease: a session that has not led yet may be silent for little more than a poll. When
// the standby goes on, it stands by.
func TestFrozenStandbyInheritsTheLock(t *testing.T) {
	t.Parallel()
	const poll = 900 * time.Millisecond
	c := setupCluster(t, pgtest.Database(t), func(c *replicaConfig) { c.PollInterval = poll })
	c.start()
	leader, begun := c.leader(0)
	c.start()
	c.start()

	var (
		frozen *process
		head   int // its session
		killed time.Time
	)
	for inherited, tries := false, 1; !inherited; tries++ {
		frozen, head = c.head(poll * 6 / 10)
		if err := frozen.Freeze(t.Context()); err != nil {
			t.Fatal(err)
		}
		killed = time.Now()
		leader.signal(syscall.SIGKILL)
		pgtest.Eventually(t, "somebody to get the lock", func() bool {
			c.query(`select exists (select from pg_locks k where k.granted and k.pid = $2 and `+ourLock+`)`,
				[]any{c.config.Name, head}, &inherited)
			return inherited || c.marks()[len(c.marks())-1].term > begun.term
		})
		if !inherited { // its poll was over before, on a busy machine
			if tries == 10 {
				t.Fatal("in ten tries the frozen standby has not inherited the lock")
			}
			frozen.signal(syscall.SIGCONT)
			leader, begun = c.leader(begun.term)
			c.start()
		}
	}
	successor, next := c.leader(begun.term)
	if successor == frozen {
		t.Fatal("the frozen standby leads")
	}
	c.wantWithin("a frozen standby inherited the lock", killed, next, c.config.Lease/2)

	frozen.signal(syscall.SIGCONT)
	c.standbys(1)
	pgtest.Eventually(t, "another session than the one that the server ended", func() bool {
		return frozen.backend() != head
	})
	frozen.wantAlive()
	c.marked(next.term, works, time.Now())
}

// head waits until two standbys queue, and the one that has waited longest has waited for less than that. It returns
// this one, and its session. Two standbys are out of step, so that one of them is sometimes at the head early in its
// poll.
func (c *cluster) head(waited time.Duration) (head *process, session int) {
	c.t.Helper()
	pgtest.Eventually(c.t, "a head of the queue that stays there", func() bool {
		c.query(`select coalesce(min(pid) filter (where queued = 2 and place = 1 and waited < $2), 0)
			from (select k.pid, clock_timestamp() - k.waitstart as waited, count(*) over () as queued,
					rank() over (order by k.waitstart) as place
				from pg_locks k where not k.granted and k.waitstart is not null and `+ourLock+`) q`,
			[]any{c.config.Name, waited}, &session)
		for _, p := range c.all {
			if session != 0 && p.backend() == session { // or else what it has printed is still to come
				head = p
			}
		}
		return head != nil
	})
	return head, session
}
