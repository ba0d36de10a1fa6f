package listener

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// Channels beyond what one transaction should change come and go in several, at the start, after a reconnect, and at
// the end. Each of them works.
func TestManyChannelsChangeInPieces(t *testing.T) {
	const channels, pieces = 4500, 3
	b := setup(t)
	p := newProxy(b)
	var mu sync.Mutex
	var sizes []int // of the changes since the latest check
	p.alter(func(_ *link, m packet) []packet {
		if n := strings.Count(m.query(), `listen "channel `); n > 0 {
			mu.Lock()
			defer mu.Unlock()
			sizes = append(sizes, n)
		}
		return pass(m)
	})
	check := func(when string, least int) {
		mu.Lock()
		defer mu.Unlock()
		sum := 0
		for _, n := range sizes {
			if n > maxChange {
				t.Errorf("%s: %d channels in one change, want at most %d", when, n, maxChange)
			}
			sum += n
		}
		if sum != channels || len(sizes) < least {
			t.Errorf("%s: the changes have %v channels, want %d in %d pieces", when, sizes, channels, least)
		}
		sizes = nil
	}
	b.options.Buffer = 1
	l := b.listener()
	var all []*Subscription
	for i := range channels {
		all = append(all, b.subscribe(l, fmt.Sprint("channel ", i)))
	}
	b.run(l)
	for round := range 2 { // the second after a reconnect
		for _, s := range all {
			pgtest.Within(t, s.channel, s.Established())
		}
		check(fmt.Sprint("round ", round), pieces)
		b.exec(`select pg_notify('channel ' || n, n::text) from generate_series(0, $1 - 1) n`, channels)
		for i, s := range all {
			if got := receive(t, s); got != fmt.Sprint(i) {
				t.Fatalf("channel %q: received %q", s.channel, got)
			}
		}
		if round == 0 {
			b.terminate()
			for _, s := range all {
				pgtest.Within(t, s.channel, s.Missed())
			}
		}
	}
	kept := b.established(l, "kept")
	for _, s := range all {
		s.Close()
	}
	settled(t, l)
	b.notify("kept", "x")
	b.established(l, "last") // behind whatever UNLISTEN is under way
	receive(t, kept)
	check("at the end", 1)
	if stats := l.Stats(); stats.Reconnects != 1 || stats.Dropped != 0 {
		t.Errorf("stats are %+v", stats)
	}
}
