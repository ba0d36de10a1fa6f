package listener

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// A NOTIFY that is sent as soon as the subscription is established arrives, a thousand times over, while channels come
// and go.
func TestNotifyAfterEstablishedArrives(t *testing.T) {
	b := setup(t)
	l := b.listener()
	b.run(l)
	for i := range 1000 {
		channel, payload := fmt.Sprintf("channel %d", i), fmt.Sprintf("payload %d", i)
		s := b.established(l, channel)
		b.notify(channel, payload)
		if got := receive(t, s); got != payload {
			t.Fatalf("round %d: received %q, want %q", i, got, payload)
		}
		if i%2 == 0 {
			s.Close()
		}
	}
	if stats := l.Stats(); stats.Received != 1000 || stats.Channels != 500 || stats.Subscriptions != 500 ||
		!stats.Connected ||
		stats.Reconnects != 0 || stats.Dropped != 0 {
		t.Errorf("stats are %+v", stats)
	}
}

// The same upon a channel that all leave and join again, so that LISTEN follows UNLISTEN on the same name each
// time.
func TestNotifyAfterEstablishedOnOneChannel(t *testing.T) {
	b := setup(t)
	l := b.listener()
	b.run(l)
	for i := range 300 {
		s := b.established(l, "c")
		b.notify("c", fmt.Sprint(i))
		if got := receive(t, s); got != fmt.Sprint(i) {
			t.Fatalf("round %d: received %q", i, got)
		}
		s.Close()
	}
}

func TestFiveHundredChannelsOnOneSession(t *testing.T) {
	const channels = 500
	b := setup(t)
	l := b.listener()
	b.run(l)
	var all []*Subscription
	for i := range channels {
		all = append(all, b.subscribe(l, fmt.Sprint("channel ", i)))
	}
	for round := range 2 { // the second after a reconnect
		for _, s := range all {
			pgtest.Within(t, "established", s.Established())
		}
		b.exec(`select pg_notify('channel ' || n, n::text) from generate_series(0, $1 - 1) n`, channels)
		for i, s := range all {
			if got := receive(t, s); got != fmt.Sprint(i) {
				t.Errorf("channel %q: received %q", s.channel, got)
			}
		}
		// the server ends the last one in its own time
		pgtest.Eventually(t, "one session", func() bool { return b.backends() == 1 })
		if round == 0 {
			b.terminate()
			for _, s := range all {
				pgtest.Within(t, s.channel, s.Missed())
			}
		}
	}
	if stats := l.Stats(); stats.Channels != channels || stats.Received != 2*channels {
		t.Errorf("stats are %+v", stats)
	}
	for _, s := range all {
		s.Close()
	}
	settled(t, l)
}

// Thousands of subscriptions to one channel cost one LISTEN, and each receives everything.
func TestManySubscriptionsToOneChannel(t *testing.T) {
	b := setup(t)
	b.options.ProbeInterval = time.Hour // so that no probe is the last statement
	l := b.listener()
	b.run(l)
	b.established(l, "first")
	var all []*Subscription
	for range 3000 {
		all = append(all, b.subscribe(l, "c"))
	}
	for _, s := range all {
		pgtest.Within(t, "established", s.Established())
	}
	b.notify("c", "x")
	for _, s := range all {
		if got := receive(t, s); got != "x" {
			t.Fatalf("received %q", got)
		}
	}
	if stats := l.Stats(); stats.Channels != 2 || stats.Subscriptions != 3001 || stats.Received != 1 {
		t.Errorf("stats are %+v", stats)
	}
	var closing sync.WaitGroup
	for _, s := range all {
		closing.Go(s.Close)
	}
	closing.Wait()
	pgtest.Eventually(t, "one unlisten", func() bool {
		statement, _ := b.lastStatement()
		return statement == `unlisten "c";`
	})
}

// Everything is closed while its LISTEN is under way: it is taken back. What is subscribed again in the same moment is
// in force.
func TestCloseWhileListenIsUnderWay(t *testing.T) {
	b := setup(t)
	p := newProxy(b)
	l := b.listener()
	b.run(l)
	b.established(l, "first")
	reached, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	p.alter(func(_ *link, m packet) []packet {
		if m.query() != "" && !m.probes() {
			once.Do(func() {
				close(reached)
				<-goOn
			})
		}
		return pass(m)
	})
	var all []*Subscription
	for i := range 20 {
		all = append(all, b.subscribe(l, fmt.Sprint("c", i)))
	}
	pgtest.Within(t, "the LISTEN is under way", reached)
	for _, s := range all {
		s.Close()
		pgtest.Within(t, "established upon Close", s.Established())
	}
	again := b.subscribe(l, "c0")
	close(goOn)
	pgtest.Within(t, "established", again.Established())
	b.notify("c0", "x")
	if got := receive(t, again); got != "x" {
		t.Errorf("received %q", got)
	}
	again.Close()
	settled(t, l)
	last := b.established(l, "last") // behind whatever UNLISTEN is under way
	b.notify("c1", "to nobody")
	b.notify("last", "y")
	receive(t, last)
	if stats := l.Stats(); stats.Received != 2 || stats.Channels != 2 || stats.Reconnects != 0 {
		t.Errorf("stats are %+v", stats)
	}
}

// A consumer may subscribe to the channel that a message names, and close, from the goroutine that reads.
func TestSubscribeAndCloseFromTheReader(t *testing.T) {
	b := setup(t)
	b.options.Buffer = 1
	l := b.listener()
	b.run(l)
	s := b.established(l, "next")
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		for {
			channel, open := <-s.Messages()
			if !open || channel == "end" {
				s.Close()
				return
			}
			next, err := l.Subscribe(channel)
			if err != nil {
				t.Error(err)
				return
			}
			s.Close()
			s = next
		}
	}()
	sender := b.connect(b.conn.Config())
	b.notify("next", "a")
	follow(t, l, sender, "a", "b")
	follow(t, l, sender, "b", "end")
	pgtest.Within(t, "the end", followed)
	settled(t, l)
}

// follow waits until LISTEN is in force on a channel and sends to it.
func follow(t *testing.T, l *Listener, conn *pgx.Conn, channel, payload string) {
	t.Helper()
	pgtest.Eventually(t, "listen on "+channel, func() bool {
		l.registry.mu.Lock()
		defer l.registry.mu.Unlock()
		return l.registry.listening[channel]
	})
	if err := Notify(context.Background(), conn, channel, payload); err != nil {
		t.Fatal(err)
	}
}

// settled waits until the server has nothing left to change, and checks that nothing but what is subscribed is left.
func settled(t *testing.T, l *Listener) {
	t.Helper()
	pgtest.Eventually(t, "every LISTEN in line with the subscriptions", func() bool {
		l.registry.mu.Lock()
		defer l.registry.mu.Unlock()
		return len(l.registry.changed) == 0 && len(l.registry.listening) == len(l.registry.subscriptions)
	})
}
