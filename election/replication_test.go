package election_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/privatepg"
	"github.com/pgsolo/pgsolo/election"
)

// pair is a primary with a streaming replica.
type pair struct {
	primary, replica       *privatepg.Server
	primaryURL, replicaURL string    // of the migrated database
	onPrimary, onReplica   *pgx.Conn // the test's own
}

// setupPair starts a primary with the tables of an election, and a hot standby that follows it.
func setupPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{primary: pgtest.Server(t, privatepg.Options{})}
	p.primaryURL = p.primary.URL("postgres")
	if err := migrate(t.Context(), p.primaryURL); err != nil {
		t.Fatal(err)
	}
	p.onPrimary = pgtest.Connect(t, p.primaryURL)

	server := p.onPrimary.Config()
	if !strings.HasPrefix(server.Host, "/") {
		t.Skip("the primary listens on a port, where its pg_hba.conf lets no replica in")
	}
	var programs string
	if err := p.onPrimary.QueryRow(t.Context(),
		`select setting from pg_config where name = 'BINDIR'`).Scan(&programs); err != nil {
		t.Fatal(err)
	}
	backup := filepath.Join(programs, "pg_basebackup")
	if _, err := os.Stat(backup); err != nil {
		t.Skipf("there is no pg_basebackup beside this PostgreSQL: %v", err)
	}
	owner, attributes := unprivileged(t, server.Host)
	folder := folderOf(t, owner)
	// The backup brings the password file along that makes it a data folder of privatepg. --write-recovery-conf makes
	// it follow.
	copying := exec.CommandContext(t.Context(), backup, "--host", server.Host, "--port", strconv.Itoa(int(server.Port)),
		"--username", server.User,
		"--pgdata", filepath.Join(folder, "data"), "--write-recovery-conf", "--checkpoint", "fast", "--no-sync",
		"--no-manifest")
	copying.Dir, copying.SysProcAttr = "/", attributes
	if output, err := copying.CombinedOutput(); err != nil {
		t.Fatalf("copy the primary: %v\n%s", err, output)
	}
	p.replica = pgtest.Server(t, privatepg.Options{Dir: folder, Settings: map[string]string{
		"fsync":                       "off",
		"wal_retrieve_retry_interval": "100ms", // a promotion waits for it where the primary is gone; default 5 s
	}})
	p.replicaURL = p.replica.URL("postgres")
	p.onReplica = pgtest.Connect(t, p.replicaURL)
	return p
}

// catchUp waits until the replica has what the primary has now.
func (p *pair) catchUp(t *testing.T) {
	t.Helper()
	position := pgtest.Value[string](t, p.onPrimary, `select pg_current_wal_lsn()::text`)
	pgtest.Eventually(t, "the replica to catch up", func() bool {
		return pgtest.Value[bool](t, p.onReplica, `select pg_last_wal_replay_lsn() >= $1::text::pg_lsn`, position)
	})
}

// promote makes a primary of the replica, as an operator does who takes the primary for dead.
func (p *pair) promote(t *testing.T) {
	t.Helper()
	if !pgtest.Value[bool](t, p.onReplica, `select pg_promote()`) {
		t.Fatal("the replica is not promoted")
	}
}

// logged gives a replica a log that the test reads.
func logged(log *pgtest.Buffer) func(*election.Options) {
	return func(o *election.Options) { o.Logger = hclog.New(&hclog.LoggerOptions{Output: log}) }
}

// A replica of the program that is connected to a hot standby is where the next primary will be. It waits there.
func TestHotStandby(t *testing.T) {
	t.Parallel()
	p := setupPair(t)
	log := &pgtest.Buffer{}
	waiting := setup(t, p.replicaURL, logged(log))
	pgtest.Eventually(t, "the log to name the hot standby",
		func() bool { return strings.Contains(log.String(), "hot standby") })
	if role := waiting.elector.Status().Role; role != election.Outside {
		t.Errorf("on a hot standby it is %s, want %s", role, election.Outside)
	}
	first := setup(t, p.primaryURL)
	term := pgtest.Within(t, "leader on the primary", first.leading)
	p.catchUp(t)

	if err := p.primary.Halt(t.Context(), privatepg.Immediate); err != nil {
		t.Fatal(err)
	}
	select {
	case term := <-waiting.leading:
		t.Fatalf("it leads on a hot standby, in term %d", term.Number)
	case err := <-waiting.ended:
		t.Fatalf("it has ended: %v", err)
	case err := <-first.ended:
		if !errors.Is(err, election.ErrLost) {
			t.Errorf("without its primary the leader returned %v, want ErrLost", err)
		}
		first.ended <- nil
	}
	p.promote(t)
	next := pgtest.Within(t, "leader on the promoted replica", waiting.leading)
	if next.Number != term.Number+1 || next.Timeline <= term.Timeline {
		t.Errorf("term %d of timeline %d follows term %d of timeline %d", next.Number, next.Timeline, term.Number,
			term.Timeline)
	}
	if n := strings.Count(log.String(), "hot standby"); n != 1 {
		t.Errorf("the log names the hot standby %d times, want one line per change:\n%s", n, log)
	}
}

// Nothing in an election can prevent this one: locks are not replicated, and two primaries are two databases. The test
// says what an application can rely on.
func TestPromotionWhileThePrimaryLives(t *testing.T) {
	t.Parallel()
	p := setupPair(t)
	old := setup(t, p.primaryURL, briefly, func(o *election.Options) { o.Holder = "old" })
	oldTerm := pgtest.Within(t, "leader on the primary", old.leading)
	p.catchUp(t)
	p.promote(t)

	// There are two leaders now. The promoted replica knows of the old leader, whose row it has, but cannot see its
	// lock.
	promoted := setup(t, p.replicaURL, func(o *election.Options) { o.Holder = "new" })
	newTerm := pgtest.Within(t, "leader on the promoted replica", promoted.leading)
	if newTerm.Number != oldTerm.Number+1 {
		t.Errorf("the promoted replica began term %d after term %d", newTerm.Number, oldTerm.Number)
	}

	// The old leader is told nothing: its primary goes on answering its pings.
	before := old.elector.Status().SeenAt
	pgtest.Eventually(t, "the old leader's pings to be answered", func() bool {
		return old.elector.Status().SeenAt.Sub(before) > time.Second
	})
	if !oldTerm.Held() {
		t.Error("the old leader has noticed; then more holds than the documentation says")
	}

	// The numbers of terms are no longer unique: the old primary issues the same one for its next leader.
	old.stop()
	pgtest.Within(t, "the old leader to end", old.ended)
	old.ended <- nil
	same := pgtest.Within(t, "the next leader on the old primary", setup(t, p.primaryURL).leading)
	if same.Number != newTerm.Number {
		t.Errorf("the old primary began term %d, want %d, as the promoted replica did", same.Number, newTerm.Number)
	}
	// The timelines tell them apart, and which is in the right: a promotion takes a new, greater one. So what compares
	// the timeline first and the number second, and keeps the greatest that it has seen, shuts the old primary's
	// leaders out.
	if same.Timeline != oldTerm.Timeline || newTerm.Timeline <= same.Timeline {
		t.Errorf("timelines: %d on the promoted replica, %d and %d on the old primary; "+
			"want a greater one on the promoted replica",
			newTerm.Timeline, oldTerm.Timeline, same.Timeline)
	}
}

// With synchronous replication a primary whose replica was promoted can commit nothing more. Its leader goes on, since
// a ping only reads, but what it writes is never acknowledged, and no other can begin a term there.
func TestPromotionWithSynchronousReplication(t *testing.T) {
	t.Parallel()
	p := setupPair(t)
	for _, sql := range []string{`alter system set synchronous_standby_names = '*'`, `select pg_reload_conf()`} {
		if _, err := p.onPrimary.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	pgtest.Eventually(t, "synchronous replication", func() bool {
		return pgtest.Value[bool](t, p.onPrimary,
			`select exists (select from pg_stat_replication where sync_state = 'sync')`)
	})
	old := setup(t, p.primaryURL)
	oldTerm := pgtest.Within(t, "leader on the primary", old.leading)
	p.promote(t) // no need to catch up: the commit of the term has waited for the replica
	newTerm := pgtest.Within(t, "leader on the promoted replica", setup(t, p.replicaURL).leading)
	if newTerm.Number != oldTerm.Number+1 {
		t.Errorf("the promoted replica began term %d, want the one after %d, which it must know", newTerm.Number,
			oldTerm.Number)
	}

	// The old leader's write hangs in its commit, so that the leader cannot take it for done.
	work := pgtest.Connect(t, p.primaryURL)
	ctx, cancel := context.WithCancel(t.Context())
	written := make(chan error, 1)
	var writing sync.WaitGroup
	defer writing.Wait()
	defer cancel()
	writing.Go(func() {
		_, err := work.Exec(ctx, `create table payroll ()`)
		written <- err
	})
	pgtest.Eventually(t, "the old leader's write to wait for the replica", func() bool {
		return pgtest.Value[bool](t, p.onPrimary,
			`select exists (select from pg_stat_activity where wait_event = 'SyncRep' and pid = $1)`,
			work.PgConn().PID())
	})
	if !oldTerm.Held() {
		t.Error("the old leader has noticed; then more holds than the documentation says")
	}

	// It cannot resign either, and keeps the lock for some seconds more, unless an operator ends its session.
	next := setup(t, p.primaryURL)
	pgtest.Eventually(t, "the next to stand by", func() bool { return next.elector.Status().Role == election.Standby })
	old.stop()
	session := p.awaitHangingHolder(t, 0)
	if !pgtest.Value[bool](t, p.onPrimary, `select pg_terminate_backend($1)`, session) {
		t.Error("the old leader's session was not there to end")
	}
	// The next one on the old primary gets the lock, but its term does not begin.
	p.awaitHangingHolder(t, session)
	select {
	case err := <-written:
		t.Errorf("the old leader's write was acknowledged: %v", err)
	case term := <-next.leading:
		t.Errorf("term %d has begun on the old primary", term.Number)
	default:
	}
}

// awaitHangingHolder waits until a session holds the lock on the primary, and its commit waits for the replica. It
// returns the session's process. other is one that it must not be.
func (p *pair) awaitHangingHolder(t *testing.T, other int) (pid int) {
	t.Helper()
	pgtest.Eventually(t, "a commit of the lock's holder to wait for the replica", func() bool {
		pid = pgtest.Value[int](t, p.onPrimary,
			`select coalesce(max(pid), 0) from pg_stat_activity join pg_locks using (pid)
			where locktype = 'advisory' and granted and wait_event = 'SyncRep' and pid <> $1`, other)
		return pid != 0
	})
	return pid
}
