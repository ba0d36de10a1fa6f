package listener

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// A subscriber that reads nothing delays no other: beside a hundred of them, each message reaches the fast one as it
// reaches a subscriber that is alone on its channel. Both are measured in turn.
func TestSlowSubscribersDelayNoOther(t *testing.T) {
	const rounds, slow = 300, 100
	b := setup(t)
	b.options.Buffer = 2
	l := b.listener()
	b.run(l)
	alone := b.established(l, "alone")
	for range slow { // before the fast one, so that it is their turn first
		b.established(l, "shared")
	}
	beside := b.established(l, "shared")
	latencies := map[*Subscription][]time.Duration{}
	for i := range rounds {
		for _, s := range []*Subscription{alone, beside} {
			began := time.Now()
			b.notify(s.channel, fmt.Sprint(i))
			if got := receive(t, s); got != fmt.Sprint(i) {
				t.Fatalf("received %q, want %d", got, i)
			}
			latencies[s] = append(latencies[s], time.Since(began))
		}
	}
	median := func(s *Subscription) time.Duration {
		slices.Sort(latencies[s])
		return latencies[s][rounds/2]
	}
	if a, s := median(alone), median(beside); s > 3*a {
		t.Errorf("the median is %s beside %d slow subscribers, and %s alone", s, slow, a)
	} else {
		t.Logf("medians: %s alone, %s beside %d slow subscribers", a, s, slow)
	}
	select {
	case <-beside.Missed():
		t.Error("the fast subscriber is told that it missed something")
	default:
	}
	if dropped := l.Stats().Dropped; dropped != slow*(rounds-2) {
		t.Errorf("dropped %d messages, want %d", dropped, slow*(rounds-2))
	}
	pgtest.Eventually(t, "a line for each", func() bool { return b.log.count("subscriber is slow") == slow })
}

// Each episode in which a subscriber falls behind is announced and logged once, however many messages it loses, and the
// next one again.
func TestEachEpisodeIsAnnouncedOnce(t *testing.T) {
	b := setup(t)
	b.options.Buffer = 2
	l := b.listener()
	b.run(l)
	slow, fast := b.established(l, "c"), b.established(l, "c")
	send := func(payload string) {
		b.notify("c", payload)
		if got := receive(t, fast); got != payload { // so that it has been delivered to both
			t.Fatalf("the fast subscriber received %q", got)
		}
	}
	for episode := 1; episode <= 3; episode++ {
		for i := range 10 {
			send(fmt.Sprint(i))
		}
		pgtest.Within(t, "missed", slow.Missed())
		receive(t, slow) // one message now and then is no end of the episode
		send("more")
		send("lost")
		receive(t, slow)
		receive(t, slow)
		send("caught up")
		if got := receive(t, slow); got != "caught up" {
			t.Errorf("received %q", got)
		}
		pgtest.Within(t, "missed for what was lost later", slow.Missed())
		pgtest.Eventually(t, "the end of the episode",
			func() bool { return b.log.count("subscriber keeps up again") == episode })
		if n := b.log.count("subscriber is slow"); n != episode {
			t.Errorf("%d lines after %d episodes", n, episode)
		}
	}
	if n := b.log.count("dropped=9"); n != 3 { // 8 of ten, and "lost"
		t.Errorf("the log does not say what was dropped:\n%s", b.log)
	}
}

// A log that blocks holds up Run's goroutine, and no message.
func TestBlockedLogDelaysNoMessage(t *testing.T) {
	b := setup(t)
	b.options.Buffer = 1
	log := &blockingLog{reached: make(chan struct{}), release: make(chan struct{})}
	b.options.Logger = log.logger()
	l := b.listener()
	ended, stop := b.run(l)
	slow, fast := b.established(l, "c"), b.established(l, "c")
	b.notify("c", "0")
	receive(t, fast)
	b.notify("c", "1") // overflows the slow one's buffer, which is logged
	receive(t, fast)
	pgtest.Within(t, "the line that blocks", log.reached)
	for i := range 20 {
		b.notify("c", fmt.Sprint(i))
		if got := receive(t, fast); got != fmt.Sprint(i) {
			t.Errorf("received %q", got)
		}
	}
	slow.Close()
	close(log.release)
	stop()
	if err := pgtest.Within(t, "the end", ended); err != nil {
		t.Error(err)
	}
}
