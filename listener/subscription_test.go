package listener

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

func TestSubscribeBeforeAndDuringRun(t *testing.T) {
	b := setup(t)
	l := b.listener()
	early := b.subscribe(l, "early")
	select {
	case <-early.Established():
		t.Fatal("established before Run")
	default:
	}

	_, stop := b.run(l)
	pgtest.Within(t, "early", early.Established())
	late := b.established(l, "late")
	b.notify("early", "1")
	b.notify("late", "2")
	if first, second := receive(t, early), receive(t, late); first != "1" || second != "2" {
		t.Errorf("received %q and %q", first, second)
	}

	stop()
	for _, s := range []*Subscription{early, late} {
		if payload, open := <-s.Messages(); open {
			t.Errorf("received %q after the end", payload)
		}
	}
	if _, err := l.Subscribe("too late"); !errors.Is(err, ErrEnded) {
		t.Errorf("subscribing after the end gives %v", err)
	}
	early.Close() // harmless
}

func TestTwoSubscriptionsShareOneListen(t *testing.T) {
	b := setup(t)
	b.options.ProbeInterval = time.Hour // so that no probe is the last statement
	l := b.listener()
	b.run(l)
	b.established(l, "first") // so that the session is up, and what follows is a change to it
	pgtest.Eventually(t, "the first probe", func() bool { return l.Stats().ProbeRoundTrip > 0 })
	first := b.established(l, "shared")
	listen, at := b.lastStatement()
	if listen != `listen "shared";` {
		t.Fatalf("the session executed %q", listen)
	}

	second := b.subscribe(l, "shared")
	select {
	case <-second.Established(): // at once, as LISTEN is in force
	default:
		t.Error("the second subscription waits for a LISTEN of its own")
	}
	b.notify("shared", "to both")
	if one, two := receive(t, first), receive(t, second); one != "to both" || two != "to both" {
		t.Errorf("received %q and %q", one, two)
	}

	first.Close()
	first.Close()
	if _, open := <-first.Messages(); open {
		t.Error("a closed subscription still has messages")
	}
	b.notify("shared", "to the second")
	if got := receive(t, second); got != "to the second" {
		t.Errorf("received %q", got)
	}
	if statement, now := b.lastStatement(); !now.Equal(at) {
		t.Errorf("the session executed %q while a subscription was left", statement)
	}

	second.Close()
	pgtest.Eventually(t, "unlisten", func() bool {
		statement, _ := b.lastStatement()
		return statement == `unlisten "shared";`
	})
	received := l.Stats().Received
	other := b.established(l, "other")
	b.notify("shared", "to nobody")
	b.notify("other", "x")
	receive(t, other)
	if stats := l.Stats(); stats.Received != received+1 || stats.Channels != 2 || stats.Subscriptions != 2 {
		t.Errorf("after UNLISTEN: %+v, with %d received before", stats, received)
	}
}

func TestClosedWhileNotConnected(t *testing.T) {
	b := setup(t)
	l := b.listener()
	s := b.subscribe(l, "gone")
	s.Close()
	pgtest.Within(t, "established upon Close", s.Established())
	b.run(l)
	kept := b.established(l, "kept")
	b.notify("gone", "x")
	b.notify("kept", "y")
	receive(t, kept)
	if received := l.Stats().Received; received != 1 {
		t.Errorf("received %d notifications, want 1", received)
	}
}

func TestSlowSubscriberLosesItsOwnMessagesOnly(t *testing.T) {
	const dropping, keepsUp = "subscriber is slow", "subscriber keeps up again"
	b := setup(t)
	b.options.Buffer = 4
	l := b.listener()
	b.run(l)
	slow, fast := b.established(l, "c"), b.established(l, "c")

	for i := range 20 {
		payload := fmt.Sprint(i)
		b.notify("c", payload)
		if got := receive(t, fast); got != payload {
			t.Fatalf("the fast subscriber received %q, want %q", got, payload)
		}
	}
	pgtest.Within(t, "missed by the slow subscriber", slow.Missed())
	select {
	case <-fast.Missed():
		t.Error("the fast subscriber is told that it missed something")
	default:
	}
	if dropped := l.Stats().Dropped; dropped != 16 {
		t.Errorf("dropped %d messages, want 16", dropped)
	}

	for i := range 4 { // what came first is kept
		if got := receive(t, slow); got != fmt.Sprint(i) {
			t.Errorf("the slow subscriber received %q, want %d", got, i)
		}
	}
	b.notify("c", "after")
	if got := receive(t, slow); got != "after" {
		t.Errorf("the slow subscriber received %q after it caught up", got)
	}
	pgtest.Eventually(t, "a line that it keeps up", func() bool { return b.log.count(keepsUp) == 1 })
	if lines := b.log.count(dropping); lines != 1 {
		t.Errorf("%d lines about one episode", lines)
	}
}
