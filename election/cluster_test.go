package election_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/fleet"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/privatepg"
)

// cluster is the replica processes of one election, and the file in which they make their marks.
type cluster struct {
	t      *testing.T
	config replicaConfig // of each replica, but for Holder
	conn   *pgx.Conn     // the test's own
	all    []*process

	marksRead int64 // of the file, in bytes
	marksSeen []mark
}

// setupCluster prepares for replicas on a database. When the test has ended and they are gone, their marks must not
// overlap.
func setupCluster(t *testing.T, url string, change ...func(*replicaConfig)) *cluster {
	t.Helper()
	c := &cluster{t: t, config: replicaConfig{
		URL: url, Name: "main", Witness: filepath.Join(t.TempDir(), "witness"),
		Lease: calm, PollInterval: 200 * time.Millisecond,
	}}
	for _, f := range change {
		f(&c.config)
	}
	if err := os.WriteFile(c.config.Witness, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if found := overlaps(c.marks()); found != nil {
			t.Errorf("%d marks are out of order, the first of them:\n%s", len(found),
				strings.Join(found[:min(len(found), 5)], "\n"))
		}
	})
	return c
}

// start runs a replica until the test ends.
func (c *cluster) start() *process {
	c.t.Helper()
	return c.run(c.command())
}

// command is that of the next replica. It has a process group of its own, to which the kernel sends SIGHUP and SIGCONT
// when the test's process is gone and a member is stopped: even a frozen replica does not outlive it.
func (c *cluster) command() fleet.Command {
	c.t.Helper()
	config := c.config
	config.Holder = c.nextHolder()
	text, err := json.Marshal(config)
	if err != nil {
		c.t.Fatal(err)
	}
	return fleet.Command{Env: []string{beReplica + "=" + string(text)}, Attr: &syscall.SysProcAttr{Setpgid: true}}
}

func (c *cluster) nextHolder() string { return "r" + strconv.Itoa(len(c.all)+1) }

// run runs the next replica until the test ends.
func (c *cluster) run(command fleet.Command) *process {
	c.t.Helper()
	started, err := fleet.Start(command)
	if err != nil {
		c.t.Fatal(err)
	}
	p := &process{Process: started, t: c.t, holder: c.nextHolder()}
	c.t.Cleanup(func() {
		p.Close()
		if c.t.Failed() {
			c.t.Logf("output of %s:\n%s", p.holder, p.Output())
		}
	})
	c.all = append(c.all, p)
	return p
}

// leader waits for the first mark of a term that follows the one given.
func (c *cluster) leader(after int64) (*process, mark) {
	c.t.Helper()
	var found mark
	pgtest.Eventually(c.t, fmt.Sprintf("a leader after term %d", after), func() bool {
		for _, m := range c.marks() {
			if m.term > after {
				found = m
				return true
			}
		}
		return false
	})
	for _, p := range c.all {
		if p.holder == found.holder {
			return p, found
		}
	}
	c.t.Fatalf("%q leads, and is none of ours", found.holder)
	return nil, mark{}
}

// startAll starts n replicas, and waits until one leads and the others stand by.
func (c *cluster) startAll(n int) (*process, mark) {
	c.t.Helper()
	for range n {
		c.start()
	}
	leader, begun := c.leader(0)
	c.standbys(n - 1)
	return leader, begun
}

// marked waits for a mark of a term, of one kind, after a moment.
func (c *cluster) marked(term int64, kind string, after time.Time) (found mark) {
	c.t.Helper()
	pgtest.Eventually(c.t, fmt.Sprintf("a mark that term %d %s", term, kind), func() bool {
		for _, m := range c.marks() {
			if m.term == term && m.kind == kind && m.at.After(after) {
				found = m
				return true
			}
		}
		return false
	})
	return found
}

// query reads one row, on a connection that is made anew when it broke.
func (c *cluster) query(sql string, args []any, into ...any) {
	c.t.Helper()
	if c.conn == nil || c.conn.IsClosed() {
		c.conn = pgtest.Connect(c.t, c.config.URL)
	}
	if err := c.conn.QueryRow(c.t.Context(), sql, args...).Scan(into...); err != nil {
		c.t.Fatal(err)
	}
}

// ourLock selects this election's lock in pg_locks k.
const ourLock = `k.locktype = 'advisory' and k.classid = 'pgsolo.leader'::regclass and k.objsubid = 2
	and k.objid = (select lock_id from pgsolo.leader where election = $1)
	and k.database = (select oid from pg_database where datname = current_database())`

// standbys waits until n replicas queue for the lock.
func (c *cluster) standbys(n int) {
	c.t.Helper()
	pgtest.Eventually(c.t, fmt.Sprintf("%d standbys", n), func() bool {
		var waiting int
		c.query(`select count(*) from pg_locks k where not k.granted and `+ourLock, []any{c.config.Name}, &waiting)
		return waiting == n
	})
}

// working waits for the leader's session that runs replicaConfig.Work, and returns its process id in the server.
func (c *cluster) working(term int64) (pid int) {
	c.t.Helper()
	pgtest.Eventually(c.t, "the leader's own session", func() bool {
		c.query(`select coalesce(max(pid), 0) from pg_stat_activity
			where datname = current_database() and application_name = $1 and query = $2`,
			[]any{fmt.Sprintf("pgsolo %s term %d", c.config.Name, term), c.config.Work}, &pid)
		return pid != 0
	})
	return pid
}

// wantEnded checks what the history says of how a term ended.
func (c *cluster) wantEnded(term int64, want string) {
	c.t.Helper()
	var ended string
	c.query(`select coalesce(ended, '') from pgsolo.leader_term where election = $1 and term = $2`,
		[]any{c.config.Name, term}, &ended)
	if ended != want {
		c.t.Errorf("term %d ended with %q, want %q", term, ended, want)
	}
}

// wantWithin checks how long after a moment a term has begun, and logs it.
func (c *cluster) wantWithin(what string, since time.Time, begun mark, limit time.Duration) {
	c.t.Helper()
	took := begun.at.Sub(since)
	c.t.Logf("%s: term %d began after %s", what, begun.term, took.Round(100*time.Microsecond))
	if took > limit {
		c.t.Errorf("%s: the successor led after %s, want %s at most", what, took, limit)
	}
}

// silent is within which time another leads when the death of a leader cannot be seen: a lease and a ping.
func (c *cluster) silent() time.Duration { return c.config.Lease + c.config.Lease/5 + tardy }

// repeats is how many times a test does over what it does: PGSOLO_TEST_REPEAT, or once.
func repeats() int {
	n, err := strconv.Atoi(os.Getenv("PGSOLO_TEST_REPEAT"))
	if err != nil {
		return 1
	}
	return n
}

// startServer starts a server for one test, with the tables.
func startServer(t *testing.T, options privatepg.Options) *privatepg.Server {
	t.Helper()
	server := pgtest.Server(t, options)
	if err := migrate(t.Context(), server.URL("postgres")); err != nil {
		t.Fatal(err)
	}
	return server
}
