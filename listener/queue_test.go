package listener

import (
	"strings"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/privatepg"
)

// A session that listens and stays idle in a transaction keeps the notification queue of the server from being emptied.
// That is said once, and once more when it has emptied. The warning begins at a tenth of 8 GB, which the test lowers.
func TestQueueWatch(t *testing.T) {
	t.Parallel()
	const fills, emptied = "the notification queue fills up", "the notification queue has emptied"
	b := setupOn(t, pgtest.Server(t, privatepg.Options{}).URL("postgres")) // whose queue has nothing of others
	b.options.ProbeInterval = time.Second
	l := b.listener()
	l.queueWarning = 20e-6 // some 160 kB
	b.run(l)
	b.established(l, "c")

	for episode := 1; episode <= 2; episode++ {
		stuck := b.connect(b.conn.Config())
		for _, sql := range []string{`listen nothing`, `begin`} {
			if _, err := stuck.Exec(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
		}
		payload := strings.Repeat("x", 7000)
		pgtest.Eventually(t, "the warning", func() bool {
			b.exec(`select pg_notify('other', $1 || n) from generate_series(1, 50) n`, payload)
			return b.log.count(fills) == episode
		})
		pgtest.Eventually(t, "the usage in the stats", func() bool { return l.Stats().QueueUsage >= l.queueWarning })
		b.awaitProbes(l, 2)
		if n := b.log.count(fills); n != episode || b.log.count(emptied) != episode-1 {
			t.Errorf("%d warnings in episode %d:\n%s", n, episode, b.log)
		}
		if err := stuck.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		pgtest.Eventually(t, "the line that it has emptied", func() bool { return b.log.count(emptied) == episode })
		pgtest.Eventually(t, "no usage left", func() bool { return l.Stats().QueueUsage < l.queueWarning/2 })
	}
	b.awaitProbes(l, 2)
	if b.log.count(fills) != 2 || b.log.count(emptied) != 2 {
		t.Errorf("the log is:\n%s", b.log)
	}
	if stats := l.Stats(); stats.Reconnects != 0 || stats.Received != 0 {
		t.Errorf("stats are %+v", stats)
	}
}

// awaitProbes waits for some more probes that come back.
func (b *bench) awaitProbes(l *Listener, n int) {
	b.t.Helper()
	for range n {
		before := l.Stats().ProbeRoundTrip
		pgtest.Eventually(b.t, "another probe", func() bool { return l.Stats().ProbeRoundTrip != before })
	}
}

func TestProbesInStats(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.options.ProbeInterval = time.Second
	l := b.listener()
	b.run(l)
	pgtest.Eventually(t, "a session", func() bool { return l.Stats().Connected })
	if stats := l.Stats(); stats.ProbeRoundTrip != 0 {
		t.Errorf("it is probed while nobody subscribes: %+v", stats)
	}
	s := b.established(l, "c")
	b.awaitProbes(l, 3)
	b.notify("c", "x")
	receive(t, s)
	stats := l.Stats()
	if stats.Received != 1 || stats.ProbeRoundTrip <= 0 || stats.ProbeRoundTrip > pgtest.Patience ||
		stats.QueueUsage < 0 || stats.QueueUsage > 1 {
		t.Errorf("stats are %+v", stats)
	}
	s.Close()
	settled(t, l)
	l.registry.mu.Lock()
	l.registry.stats.ProbeRoundTrip = 0 // the latest may have been under way
	l.registry.mu.Unlock()
	statement, at := b.lastStatement()
	again := b.established(l, "d")
	if _, now := b.lastStatement(); !now.After(at) {
		t.Errorf("the session executed nothing after %q", statement)
	}
	pgtest.Eventually(t, "a probe for the new subscription", func() bool { return l.Stats().ProbeRoundTrip > 0 })
	again.Close()
}
