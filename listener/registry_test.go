package listener

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// Whatever the order in which the subscriptions to one channel are closed, while others come, those that are left
// receive.
func TestCloseInAnyOrder(t *testing.T) {
	b := setup(t)
	l := b.listener()
	b.run(l)
	kept := b.established(l, "c")
	var open, closed []*Subscription
	for round := range 20 {
		for range 100 {
			open = append(open, b.subscribe(l, "c"))
		}
		rand.Shuffle(len(open), func(i, j int) { open[i], open[j] = open[j], open[i] })
		n := rand.IntN(len(open))
		for _, s := range open[n:] {
			s.Close()
			s.Close()
		}
		closed, open = append(closed, open[n:]...), open[:n:n]
		b.notify("c", fmt.Sprint(round))
		// kept too: those of the next round must not receive it
		for _, s := range append([]*Subscription{kept}, open...) {
			if got := receive(t, s); got != fmt.Sprint(round) {
				t.Fatalf("round %d: received %q", round, got)
			}
		}
		if stats := l.Stats(); stats.Subscriptions != 1+n || stats.Channels != 1 {
			t.Fatalf("round %d: %+v with %d subscriptions open", round, stats, 1+n)
		}
	}
	for _, s := range closed {
		if payload, open := <-s.Messages(); open && len(payload) > 2 {
			t.Errorf("received %q", payload)
		}
	}
}

// To close a subscription costs no more the more there are to its channel. As many of a channel each are what it is
// held against; a search among those of the channel would take hundreds of times as long.
func TestCloseAmongMany(t *testing.T) {
	const subscriptions = 20000
	b := setup(t)
	b.options.Buffer = 1
	closing := func(channel func(i int) string) time.Duration {
		l := b.listener()
		var all []*Subscription
		for i := range subscriptions {
			all = append(all, b.subscribe(l, channel(i)))
		}
		began := time.Now()
		for _, s := range all {
			s.Close()
		}
		return time.Since(began)
	}
	for try := 1; ; try++ { // a busy machine may stall in one of them
		each := closing(func(i int) string { return fmt.Sprint("c", i) })
		one := closing(func(int) string { return "c" })
		if t.Logf("%s of a channel each, %s of one", each, one); one <= 10*each {
			break
		}
		if try == 5 {
			t.Fatalf("closing %d subscriptions takes %s of a channel each, and %s of one", subscriptions, each, one)
		}
	}
}

// Channels that come and go in an outage leave nothing behind.
func TestNothingGathersInAnOutage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	gate := newGate(b)
	gate.shut()
	l := b.listener()
	b.run(l)
	kept := b.subscribe(l, "kept")
	pgtest.Eventually(t, "an attempt", func() bool { return gate.refused.Load() > 0 })
	for i := range 1000 {
		b.subscribe(l, fmt.Sprint("c", i)).Close()
	}
	pgtest.Eventually(t, "the channels that were left to be forgotten", func() bool {
		l.registry.mu.Lock()
		defer l.registry.mu.Unlock()
		return len(l.registry.changed) == 1 && l.registry.changed["kept"]
	})
	gate.open()
	pgtest.Within(t, "established", kept.Established())
	b.notify("kept", "x")
	receive(t, kept)
	settled(t, l)
}
