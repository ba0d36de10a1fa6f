package listener

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// A burst arrives whole and in order, channel by channel, however its messages mix: short and long, of many channels,
// of those with several subscriptions, of those without any more, and of the probes.
func TestBurstOfMixedChannels(t *testing.T) {
	const messages, channels, rounds = 3000, 7, 3
	b := setup(t)
	b.options.Buffer = messages * rounds
	l := b.listener()
	b.run(l)
	var all []*Subscription
	for range 2 { // each channel twice; the names differ in length
		for c := range channels {
			all = append(all, b.established(l, fmt.Sprint("c", c, strings.Repeat("-", c))))
		}
	}
	gone := b.established(l, "gone")
	for round := range rounds {
		b.exec(`select pg_notify('c' || c || repeat('-', c), $1 || '/' || n ||
				repeat('x', n * 7919 % case when n % 50 = 0 then 7900 else 60 end)),
				case when n % 3 = 0 then pg_notify('gone', n::text) end
			from generate_series(0, $2 - 1) n, lateral (select n * n % 11 % $3 as c) m`, fmt.Sprint(round), messages,
			channels)
	}
	mine := map[int][]string{}
	for round := range rounds {
		for n := range messages {
			most := 60
			if n%50 == 0 {
				most = 7900
			}
			c := n * n % 11 % channels
			mine[c] = append(mine[c], fmt.Sprint(round, "/", n, strings.Repeat("x", n*7919%most)))
		}
	}
	for i, s := range all {
		for at, want := range mine[i%channels] {
			if got := receive(t, s); got != want {
				t.Fatalf("channel %q, message %d: received %.40q of %d bytes, want %.40q of %d", s.channel, at, got,
					len(got), want, len(want))
			}
		}
	}
	for range messages / 3 * rounds {
		receive(t, gone)
	}
	stats := l.Stats()
	if want := uint64(rounds * (messages + messages/3)); stats.Received != want || stats.Dropped != 0 ||
		stats.Reconnects != 0 {
		t.Errorf("stats are %+v, want %d received", stats, want)
	}
	for _, s := range append(all, gone) {
		if len(s.Messages()) > 0 {
			t.Errorf("channel %q has %d messages too many", s.channel, len(s.Messages()))
		}
	}
}

// A subscriber that is slow in a burst loses what does not fit, and keeps the first; its neighbour on the channel keeps
// everything.
func TestBurstForASlowAndAFastSubscriber(t *testing.T) {
	const messages = 2000
	b := setup(t)
	b.options.Buffer = messages / 2
	l := b.listener()
	b.run(l)
	slow, fast := b.established(l, "c"), b.established(l, "c")
	for part := range 4 { // each fits into a buffer that is read
		b.exec(`select pg_notify('c', n::text) from generate_series($1::int, $2::int - 1) n`, part*messages/4,
			(part+1)*messages/4)
		for n := part * messages / 4; n < (part+1)*messages/4; n++ {
			if got := receive(t, fast); got != fmt.Sprint(n) {
				t.Fatalf("the fast subscriber received %q, want %d", got, n)
			}
		}
	}
	for n := range messages / 2 {
		if got := receive(t, slow); got != fmt.Sprint(n) {
			t.Fatalf("the slow subscriber received %q, want %d", got, n)
		}
	}
	if stats := l.Stats(); stats.Dropped != messages/2 || stats.Received != messages {
		t.Errorf("stats are %+v", stats)
	}
	pgtest.Within(t, "missed by the slow one", slow.Missed())
	select {
	case <-fast.Missed():
		t.Error("the fast one is told that it missed something")
	default:
	}
}

// A subscriber that does nothing but read loses nothing to a burst, however small its buffer is beside it: it takes its
// turn before the buffer is full. One processor makes sure of turns; of several, a busy machine may hold up the one on
// which the subscriber reads.
func TestBurstForAReaderWithTheDefaultBuffer(t *testing.T) {
	const messages, bursts = 1000, 20
	for processors, least := range map[int]int{1: bursts * 3 / 4, runtime.GOMAXPROCS(0): 1} {
		t.Run(fmt.Sprint(processors), func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
			b := setup(t)
			l := b.listener()
			b.run(l)
			s := b.established(l, "c")
			var read atomic.Uint64
			var reading sync.WaitGroup
			t.Cleanup(reading.Wait)
			t.Cleanup(s.Close)
			reading.Go(func() {
				for range s.Messages() {
					read.Add(1)
				}
			})
			spared := 0
			for burst := range uint64(bursts) {
				before := l.Stats().Dropped
				b.exec(`select pg_notify('c', n::text) from generate_series(1, $1::int) n`, messages)
				pgtest.Eventually(t, "all", func() bool {
					stats := l.Stats()
					return stats.Received == (burst+1)*messages && read.Load()+stats.Dropped == stats.Received
				})
				if l.Stats().Dropped == before {
					spared++
				}
			}
			if t.Logf("%d of %d bursts lost nothing", spared, bursts); spared < least {
				t.Errorf("want at least %d; dropped %d of %d messages", least, l.Stats().Dropped, bursts*messages)
			}
		})
	}
}
