package listener

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
)

// Each of several goroutines subscribes to one of a few shared channels, sends itself a message once it is established, and
// closes: what is established must hold however the others come and go.
func TestSubscribeAndCloseWhileMessagesFlow(t *testing.T) {
	const goroutines, rounds, channels = 8, 60, 3
	b := setup(t)
	b.options.Buffer = goroutines * rounds
	l := b.listener()
	b.run(l)

	var wg sync.WaitGroup
	for g := range goroutines {
		conn := b.connect(b.conn.Config())
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
				if _, err := conn.Exec(context.Background(), `select pg_notify($1, $2)`, channel, payload); err != nil {
					t.Error(err)
					return
				}
				for receive(t, s) != payload {
				}
				s.Close()
				l.Stats()
			}
		})
	}
	wg.Wait()
	eventually(t, "every LISTEN taken back", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.listening)+len(l.subscriptions)+len(l.changed) == 0
	})
	if stats := l.Stats(); stats.Dropped != 0 || stats.Reconnects != 0 {
		t.Errorf("stats are %+v", stats)
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
	await(t, subscriptions[0].Established(), "established")
	var wg sync.WaitGroup
	wg.Go(stop)
	for _, s := range subscriptions {
		wg.Go(s.Close)
	}
	wg.Wait()
	if err := awaitError(t, ended); err != nil {
		t.Error(err)
	}
	for _, s := range subscriptions {
		if _, open := <-s.Messages(); open {
			t.Error("a subscription is still open")
		}
	}
}
