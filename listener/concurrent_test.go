package listener

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// Each of a hundred goroutines subscribes to one of a few shared channels, sends itself a message once it is
// established, and closes: what is established must hold however the others come and go.
func TestSubscribeAndCloseWhileMessagesFlow(t *testing.T) {
	const goroutines, rounds, channels, senders = 100, 8, 20, 8
	b := setup(t)
	b.options.Buffer = goroutines * rounds
	l := b.listener()
	b.run(l)

	connections := make(chan *pgx.Conn, senders)
	for range senders {
		connections <- b.connect(b.conn.Config())
	}
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for round := range rounds {
				channel, payload := fmt.Sprint("c", rand.IntN(channels)), fmt.Sprintf("%d/%d", g, round)
				s, err := l.Subscribe(channel)
				if err != nil {
					t.Error(err)
					return
				}
				if rand.IntN(4) == 0 {
					s.Close() // perhaps while its LISTEN is under way
					continue
				}
				<-s.Established()
				conn := <-connections
				err = Notify(context.Background(), conn, channel, payload)
				connections <- conn
				if err != nil {
					t.Error(err)
					return
				}
				if !comes(s, payload) {
					t.Errorf("channel %q: %q has not come", channel, payload)
					return
				}
				s.Close()
				l.Stats()
			}
		})
	}
	wg.Wait()
	pgtest.Eventually(t, "every LISTEN taken back", func() bool {
		l.registry.mu.Lock()
		defer l.registry.mu.Unlock()
		return len(l.registry.listening)+len(l.registry.subscriptions)+len(l.registry.changed) == 0
	})
	if stats := l.Stats(); stats.Dropped != 0 || stats.Reconnects != 0 {
		t.Errorf("stats are %+v", stats)
	}
}

// comes says whether the payload is among the next messages.
func comes(s *Subscription, payload string) bool {
	timeout := time.After(pgtest.Patience)
	for {
		select {
		case got, open := <-s.Messages():
			if got == payload || !open {
				return open
			}
		case <-timeout:
			return false
		}
	}
}

func TestCloseRacesWithTheEndOfRun(t *testing.T) {
	b := setup(t)
	l := b.listener()
	ended, stop := b.run(l)
	var subscriptions []*Subscription
	for i := range 100 {
		subscriptions = append(subscriptions, b.subscribe(l, fmt.Sprint("c", i%10)))
	}
	pgtest.Within(t, "established", subscriptions[0].Established())
	var wg sync.WaitGroup
	wg.Go(stop)
	for _, s := range subscriptions {
		wg.Go(s.Close)
	}
	wg.Wait()
	if err := pgtest.Within(t, "the end", ended); err != nil {
		t.Error(err)
	}
	for _, s := range subscriptions {
		if _, open := <-s.Messages(); open {
			t.Error("a subscription is still open")
		}
	}
}
