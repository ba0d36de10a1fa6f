package election_test

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/privatepg"
	"github.com/pgsolo/pgsolo/election"
)

// PostgreSQL stops and starts again: the standbys stay up, a replica that starts meanwhile does too, and one of them
// leads afterwards. It does not wait for the lease of the leader before, for that says that it has stopped, and ends.
func TestServerStopsAndReturns(t *testing.T) {
	t.Parallel()
	for _, mode := range []privatepg.Mode{privatepg.Fast, privatepg.Immediate} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			server := startServer(t, privatepg.Options{})
			c := setupCluster(t, server.URL("postgres"))
			leader, begun := c.startAll(3)
			replicas := slices.Clone(c.all)
			for range repeats() {
				replicas = slices.DeleteFunc(replicas, func(p *process) bool { return p == leader })
				if err := server.Halt(t.Context(), mode); err != nil {
					t.Fatal(err)
				}
				c.conn = nil // broken too
				started := c.start()
				started.logs("the database cannot be used")
				replicas = append(replicas, started)
				if err := server.Resume(t.Context()); err != nil {
					t.Fatal(err)
				}
				resumed, term, before := time.Now(), begun.term, leader
				leader, begun = c.leader(term)
				// the longest pause between tries
				c.wantWithin("the server is back", resumed, begun, 5*time.Second+tardy)
				if begun.term != term+1 {
					t.Errorf("term %d follows %d", begun.term, term)
				}
				before.wantLost()
				c.standbys(2)
				for _, p := range replicas {
					p.wantAlive()
				}
			}
		})
	}
}

// No connection is to be had when the leader dies. A standby leads with the one that it has. A replica without one
// stays up, and stands by as soon as it gets one.
func TestConnectionLimitAtTakeover(t *testing.T) {
	t.Parallel()
	server := startServer(t, privatepg.Options{})
	to, err := url.Parse(server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	// The limit of a role can be lowered below what is there, so that no connection becomes free with the leader's end.
	password, _ := to.User.Password()
	admin := pgtest.Connect(t, to.String())
	if _, err := admin.Exec(t.Context(), `create role app login password '`+password+`';
		grant usage on schema pgsolo to app;
		grant select, insert, update, delete on all tables in schema pgsolo to app`); err != nil {
		t.Fatal(err)
	}
	to.User = url.UserPassword("app", password)
	c := setupCluster(t, to.String())
	leader, begun := c.startAll(2)
	limit := func(n int) {
		if _, err := admin.Exec(t.Context(), `alter role app connection limit `+strconv.Itoa(n)); err != nil {
			t.Fatal(err)
		}
	}
	limit(0)
	late := c.start()
	late.logs("too many connections")
	killed := time.Now()
	if err := leader.Kill(); err != nil {
		t.Fatal(err)
	}
	_, next := c.leader(begun.term)
	c.wantWithin("killed at the connection limit", killed, next, tardy)
	late.wantAlive()
	limit(-1)
	c.standbys(1)
}

// A statement that waits for every transaction older than itself, as create index concurrently does, waits for a poll
// of each standby, and not for the end of the leader.
func TestIndexIsBuiltBesideStandbys(t *testing.T) {
	url := pgtest.Database(t)
	slowest := func(o *election.Options) { o.PollInterval = 900 * time.Millisecond }
	leader := setup(t, url, slowest)
	pgtest.Within(t, "leader", leader.leading)
	var standbys []*replica
	for range 20 {
		standbys = append(standbys, setup(t, url, slowest))
	}
	for _, r := range standbys {
		pgtest.Eventually(t, "standby", func() bool { return r.elector.Status().Role == election.Standby })
	}
	conn := pgtest.Connect(t, url)
	if _, err := conn.Exec(t.Context(), `create table busy (n int)`); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), pgtest.Patience)
	defer cancel()
	began := time.Now()
	if _, err := conn.Exec(ctx, `create index concurrently on busy (n)`); err != nil {
		t.Error(err)
	}
	t.Logf("create index concurrently took %s", time.Since(began).Round(time.Millisecond))
	for _, r := range append(standbys, leader) {
		r.stop() // all at once
	}
}

// A hundred replicas start and stop, as leaders and as standbys in turn. No session, lock or goroutine is left.
func TestHundredCyclesLeaveNothing(t *testing.T) {
	url := pgtest.Database(t)
	before := goleak.IgnoreCurrent()
	conn := pgtest.Connect(t, url)
	// the server would end a session that is left when it has passed
	long := func(o *election.Options) { o.Lease = time.Minute }
	for cycle := range 50 {
		leader := setup(t, url, long)
		if term := pgtest.Within(t, "leader", leader.leading); term.Number != int64(cycle+1) {
			t.Fatalf("term %d in cycle %d", term.Number, cycle)
		}
		standby := setup(t, url, long)
		pgtest.Eventually(t, "standby", func() bool { return standby.elector.Status().Role == election.Standby })
		for _, r := range []*replica{standby, leader} {
			r.stop()
			if err := pgtest.Within(t, "end", r.ended); err != nil {
				t.Fatal(err)
			}
			r.ended <- nil
		}
	}
	stopped := time.Now()
	pgtest.Eventually(t, "the last session to end", func() bool {
		var sessions, locks int
		if err := conn.QueryRow(t.Context(), `select (select count(*) from pg_stat_activity
				where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'),
			(select count(*) from pg_locks
				where locktype = 'advisory'
					and database = (select oid from pg_database where datname = current_database()))`).
			Scan(&sessions, &locks); err != nil {
			t.Fatal(err)
		}
		return sessions == 0 && locks == 0
	})
	if took := time.Since(stopped); took > 10*time.Second {
		t.Errorf("the last session ended after %s: the garbage collector has closed it", took)
	}
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}

// An idle standby costs the server nothing that stays: no transaction id, and no line in its log, not even where lock
// waits and statements that fail are logged.
func TestIdleStandbyLeavesNoTrace(t *testing.T) {
	t.Parallel()
	server := startServer(t, privatepg.Options{Settings: map[string]string{
		"logging_collector": "on", "log_lock_waits": "on", "log_min_messages": "notice",
		"log_min_error_statement": "notice",
		"autovacuum":              "off", "log_checkpoints": "off",
	}})
	conn := pgtest.Connect(t, server.URL("postgres"))
	defaults := func(o *election.Options) { o.Lease, o.PollInterval = 0, 0 }
	pgtest.Within(t, "leader", setup(t, server.URL("postgres"), defaults).leading)
	standby := setup(t, server.URL("postgres"), defaults)
	pgtest.Eventually(t, "standby", func() bool { return standby.elector.Status().Role == election.Standby })

	type trace struct {
		NextXID int64
		Log     string
	}
	read := func() (seen trace) {
		if err := conn.QueryRow(t.Context(),
			`select pg_snapshot_xmax(pg_current_snapshot())::text::bigint, pg_read_file(pg_current_logfile())`).
			Scan(&seen.NextXID, &seen.Log); err != nil {
			t.Fatal(err)
		}
		return seen
	}
	var polls []time.Time // when each began
	poll := func() bool {
		var (
			began time.Time
			xid   *uint32
		)
		err := conn.QueryRow(t.Context(),
			`select a.xact_start, a.backend_xid from pg_stat_activity a join pg_locks k using (pid)
			where k.locktype = 'advisory' and not k.granted and a.xact_start is not null`).Scan(&began, &xid)
		if err == pgx.ErrNoRows {
			return false // between two polls, or one ends or begins between the reads of the two views
		}
		if err != nil {
			t.Fatal(err)
		}
		if xid != nil {
			t.Fatalf("the standby has transaction id %d", *xid)
		}
		if slices.Contains(polls, began) {
			return false
		}
		polls = append(polls, began)
		return true
	}
	for range 2 { // what the start has left in the log is there by then: the server writes it a while later
		pgtest.Eventually(t, "a poll", poll)
	}
	before := read()
	for range 3 {
		pgtest.Eventually(t, "another poll", poll)
	}
	if after := read(); after != before {
		t.Errorf("two polls left a trace: before %+v, after %+v", before, after)
	}
}
