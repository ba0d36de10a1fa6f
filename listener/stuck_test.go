package listener

import (
	"context"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/privatepg"
)

// The lock that each NOTIFY takes to commit is held by a transaction that hangs in its own commit, since it waits for a
// standby that does not exist. No other session would fare better: the listener keeps its own, and says so once for
// each time.
func TestNotifyLockHeldByAnotherSession(t *testing.T) {
	t.Parallel()
	// of which a probe spends the half waiting for the lock
	const stuck, interval = "takes no NOTIFY from anybody", 3 * time.Second
	server := pgtest.Server(t, privatepg.Options{Settings: map[string]string{"synchronous_standby_names": "missing"}})
	b := setupOn(t, server.URL("postgres"))
	b.exec(`set synchronous_commit = local`)
	b.exec(`create table t (n int)`)
	b.options.ProbeInterval = interval
	b.options.Unhealthy = func(err error) { t.Errorf("unhealthy: %v", err) }
	l := b.listener()
	b.run(l)
	s := b.established(l, "c")
	for round := 1; round <= 2; round++ {
		release := b.holdNotifyLock()
		pgtest.Eventually(t, "the line that says so", func() bool { return b.log.count(stuck) == round })
		late := b.established(l, "late") // LISTEN needs no such lock
		before := len(b.log.String())
		_, at := b.lastStatement()
		pgtest.Eventually(t, "another probe", func() bool { _, now := b.lastStatement(); return now.After(at) })
		if len(b.log.String()) != before {
			t.Errorf("it has more to say:\n%s", b.log)
		}
		quiet := b.options
		quiet.Logger = nil
		second, err := New(quiet) // one that starts now is no worse off
		if err != nil {
			t.Fatal(err)
		}
		_, stop := b.run(second)
		b.established(second, "c")
		stop()
		release()

		if got := receive(t, s); got != "from the stuck one" {
			t.Errorf("received %q", got)
		}
		probed := l.Stats().ProbeRoundTrip
		pgtest.Eventually(t, "a probe that comes back", func() bool { return l.Stats().ProbeRoundTrip != probed })
		late.Close()
	}
	if stats := l.Stats(); stats.Reconnects != 0 {
		t.Errorf("the session was given up: %+v\n%s", stats, b.log)
	}
}

// holdNotifyLock makes a transaction hang in its commit with the lock, until release is called. Its notification is
// sent then.
func (b *bench) holdNotifyLock() (release func()) {
	b.t.Helper()
	conn := b.connect(b.conn.Config())
	committed := make(chan error, 1)
	var committing sync.WaitGroup
	committing.Go(func() {
		_, err := conn.Exec(context.Background(), `set synchronous_commit = on; begin; insert into t values (1);
			select pg_notify('c', 'from the stuck one'); commit`)
		committed <- err
	})
	cancel := func() { b.exec(`select pg_cancel_backend($1)`, conn.PgConn().PID()) }
	b.t.Cleanup(func() {
		cancel()
		committing.Wait()
	})
	pgtest.Eventually(b.t, "a commit that hangs", func() bool {
		return pgtest.Value[bool](b.t, b.conn,
			`select exists (select from pg_stat_activity where wait_event = 'SyncRep' and pid = $1)`,
			conn.PgConn().PID())
	})
	return func() {
		cancel()
		if err := pgtest.Within(b.t, "the end", committed); err != nil {
			b.t.Error(err)
		}
	}
}

// A probe that the server refuses to every session is no reason to give the session up. The queue takes 8 GB
// to fill up, so the refusal is a made one.
func TestFullQueueIsNoReasonToReconnect(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.options.ProbeInterval = time.Second
	p := newProxy(b)
	l := b.listener()
	b.run(l)
	s := b.established(l, "c")
	var mu sync.Mutex
	refused := 0
	p.alter(func(_ *link, m packet) []packet {
		mu.Lock()
		defer mu.Unlock()
		if m.probes() && refused < 3 {
			refused++
			m = queryPacket(`do 'begin
				raise ''too many notifications in the NOTIFY queue'' using errcode = ''54000''; end'`)
		}
		return pass(m)
	})
	pgtest.Eventually(t, "three refusals", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return refused == 3
	})
	before := l.Stats().ProbeRoundTrip
	pgtest.Eventually(t, "a probe that comes back", func() bool { return l.Stats().ProbeRoundTrip != before })
	b.notify("c", "x")
	receive(t, s)
	if stats := l.Stats(); stats.Reconnects != 0 || b.log.count("takes no NOTIFY from anybody") != 1 {
		t.Errorf("stats are %+v:\n%s", stats, b.log)
	}
}

// Any other refusal of a probe is the session's own, such as that of a role that may no longer do it.
func TestRefusedProbeReplacesTheSession(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.options.ProbeInterval = 100 * time.Millisecond
	p := newProxy(b)
	l := b.listener()
	b.run(l)
	s := b.established(l, "c")
	said := func() bool { return b.log.count("SQLSTATE 42501") > 0 }
	p.alter(func(_ *link, m packet) []packet {
		if m.probes() && !said() { // in the first session, or the one that a busy machine has replaced it by
			m = queryPacket(`do 'begin raise ''no'' using errcode = ''42501''; end'`)
		}
		return pass(m)
	})
	pgtest.Eventually(t, "the reason in the log", said)
	pgtest.Within(t, "missed", s.Missed())
}

// A server process that is stopped answers nothing, and its socket stays open.
func TestStoppedBackendIsFound(t *testing.T) {
	t.Parallel()
	const interval = time.Second
	server := pgtest.Server(t, privatepg.Options{}) // whose processes are this test's own
	b := setupOn(t, server.URL("postgres"))
	b.options.ProbeInterval = interval
	l := b.listener()
	b.run(l)
	s := b.established(l, "c")
	pid := pgtest.Value[int](t, b.conn, `select pid from pg_stat_activity where application_name = 'the listener'`)
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Skipf("the server's processes cannot be stopped: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGCONT) }) // before the server stops, which would wait for it
	stopped := time.Now()
	pgtest.Within(t, "missed", s.Missed())
	if took := time.Since(stopped); took > 2*interval+tardy {
		t.Errorf("it took %s", took)
	}
	b.receives(s, "x")
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	pgtest.Eventually(t, "the old session to end", func() bool { return b.backends() == 1 })
}
