package listener

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// Each way in which a session can cease to deliver without being closed is found within twice ProbeInterval, and the
// session replaced; Missed says so. Traffic on the session hides none of it: it only takes longer where it looks like a
// queue of notifications that lies ahead of an answer.
func TestSessionThatDoesNotDeliverIsReplaced(t *testing.T) {
	const noAnswer = "an answer has not come"
	for name, test := range map[string]struct {
		change func(packet) []packet // of the session
		say    string                // part of the reason in the log
		busy   bool                  // try it beside traffic, too
	}{
		"delivers nothing": {without(func(m packet) bool { return m.channel() != "" }), "does not deliver",
			false},
		"delivers no probe": {without(packet.echoes), "does not deliver", true},
		"answers nothing": {without(func(m packet) bool { return m.fromServer && m.channel() == "" }), noAnswer,
			true},
		"receives nothing": {without(func(m packet) bool { return !m.fromServer }), noAnswer, true},
		"has lost a channel": {before(`unlisten "c";`), "listens on 2 channels that are not the 3 asked for",
			false},
		"has another channel": {before(`unlisten "c"; listen "d";`),
			"listens on 3 channels that are not the 3 asked for", false},
		"was reset":               {before(`unlisten *;`), "does not deliver", false},
		"was reset, half of them": {before(`unlisten *; listen "c"; listen "busy";`), "does not deliver", false},
	} {
		for _, busy := range []bool{false, true} {
			if busy && !test.busy {
				continue
			}
			name := name
			if busy {
				name += ", beside traffic"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				const interval = 250 * time.Millisecond
				b := setup(t)
				b.options.ProbeInterval, b.options.Buffer = interval, 1000
				b.options.Unhealthy = func(err error) { t.Errorf("unhealthy: %v", err) }
				p := newProxy(b)
				l := b.listener()
				b.run(l)
				s, other := b.established(l, "c"), b.established(l, "busy")
				if busy {
					traffic(b, "busy", interval/10)
				}

				b.awaitProbes(l, 1) // which knows the channels

				failsAt := time.Now()
				var failing atomic.Int64 // the number of its connection
				p.alter(func(l *link, m packet) []packet {
					if l.number != failing.Load() {
						return pass(m)
					}
					return test.change(m)
				})
				pgtest.Eventually(t, "the reason in the log", func() bool {
					connected, number := l.Stats().Connected, p.connections.Load()
					said := b.log.count(test.say) > 0
					if connected && !said { // the same one, unless a busy machine has replaced it for another reason
						failing.Store(number)
					}
					return said
				})
				pgtest.Within(t, "missed", s.Missed())
				bound := 2 * interval
				if busy && test.say == noAnswer {
					bound = (1 + floodTimeouts) * interval
				}
				if took := time.Since(failsAt); took > bound+tardy {
					t.Errorf("it took %s", took)
				}
				pgtest.Within(t, "missed by the other channel", other.Missed())
				b.receives(s, "after")
			})
		}
	}
}

// before puts a statement in front of each probe.
func before(sql string) func(packet) []packet {
	return func(m packet) []packet {
		if m.probes() {
			m = queryPacket(sql + m.query())
		}
		return pass(m)
	}
}

// without drops messages.
func without(drop func(packet) bool) func(packet) []packet {
	return func(m packet) []packet {
		if drop(m) {
			return nil
		}
		return pass(m)
	}
}

// traffic sends to the channel until the test ends, more often than every.
func traffic(b *bench, channel string, every time.Duration) {
	b.t.Helper()
	conn := b.connect(b.conn.Config())
	done := make(chan struct{})
	var sending sync.WaitGroup
	sending.Go(func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			if _, err := conn.Exec(b.t.Context(), `select pg_notify($1, 'traffic')`, channel); err != nil {
				return // the end of the test
			}
			select {
			case <-done:
				return
			case <-ticker.C:
			}
		}
	})
	b.t.Cleanup(func() {
		close(done)
		sending.Wait()
	})
}

// A LISTEN that something in between answers, and that the server never sees, is found by the server's own list.
func TestSwallowedListenIsFound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.options.ProbeInterval = calm
	p := newProxy(b)
	var swallow sync.Once
	p.alter(func(_ *link, m packet) []packet {
		if strings.Contains(m.query(), `listen "late"`) {
			swallow.Do(func() { m = queryPacket(`select 1`) })
		}
		return pass(m)
	})
	l := b.listener()
	b.run(l)
	b.established(l, "early")
	late := b.established(l, "late")
	pgtest.Within(t, "missed", late.Missed())
	b.notify("late", "x")
	if got := receive(t, late); got != "x" {
		t.Errorf("received %q", got)
	}
	if b.log.count("listens on 2 channels that are not the 3 asked for") != 1 {
		t.Errorf("the log does not say why:\n%s", b.log)
	}
}

// A session that never delivers is no session: Run gives up when its patience is exhausted.
func TestSessionThatNeverDelivers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.options.ProbeInterval, b.options.Patience = time.Second, 5*time.Second
	p := newProxy(b)
	p.alter(func(_ *link, m packet) []packet {
		if m.channel() != "" {
			return nil
		}
		return pass(m)
	})
	l := b.wanted()
	ended, _ := b.run(l)
	if err := pgtest.Within(t, "the end", ended); err == nil || !strings.Contains(err.Error(), "does not deliver") {
		t.Errorf("Run returned %v", err)
	}
	if stats := l.Stats(); stats.Reconnects != 0 || p.connections.Load() < 2 {
		t.Errorf("%d connections, stats %+v", p.connections.Load(), stats)
	}
}

// A long queue of notifications that lies in front of the answer to a probe is no reason to give the session up: as
// long as anything comes, the answer may be behind it.
func TestFloodBeforeTheProbe(t *testing.T) {
	t.Parallel()
	const interval = calm
	b := setup(t)
	b.options.ProbeInterval = interval
	p := newProxy(b)
	l := b.listener()
	b.run(l)
	s := b.established(l, "c")
	var flood sync.Once
	p.alter(func(l *link, m packet) []packet {
		if m.probes() {
			flood.Do(func() {
				ticker := time.NewTicker(interval / 10)
				defer ticker.Stop()
				for range 30 { // for three times as long as silence would be tolerated
					<-ticker.C
					if l.send(notificationPacket("c", "flood")) != nil {
						break
					}
				}
			})
		}
		return pass(m)
	})
	for range 30 {
		receive(t, s)
	}
	before := l.Stats().ProbeRoundTrip
	pgtest.Eventually(t, "the probe to come back", func() bool { return l.Stats().ProbeRoundTrip != before })
	if stats := l.Stats(); stats.Reconnects != 0 || p.connections.Load() != 1 {
		t.Errorf("the session was given up: %+v", stats)
	}
}

// A foreign NOTIFY to the private channel of the probes does not make the session fail its probe.
func TestForeignNotifyOnTheProbeChannel(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.options.ProbeInterval = calm
	var probe string
	var mu sync.Mutex // guards probe
	p := newProxy(b)
	p.alter(func(_ *link, m packet) []packet {
		if m.echoes() {
			mu.Lock()
			probe = m.channel()
			mu.Unlock()
		}
		return pass(m)
	})
	l := b.listener()
	b.run(l)
	s := b.established(l, "c")
	var channel string
	pgtest.Eventually(t, "a probe", func() bool { // which may come after LISTEN is in force
		mu.Lock()
		defer mu.Unlock()
		channel = probe
		return channel != ""
	})
	b.notify(channel, "from a stranger")
	b.notify("c", "x") // so that what came before is in
	receive(t, s)
	before := l.Stats().ProbeRoundTrip
	pgtest.Eventually(t, "another probe", func() bool { return l.Stats().ProbeRoundTrip != before })
	if stats := l.Stats(); stats.Reconnects != 0 || stats.Received != 1 {
		t.Errorf("stats are %+v:\n%s", stats, b.log)
	}
}
