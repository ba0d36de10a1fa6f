package listener

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"
)

// BenchmarkDelivery sends transactions of notifications to a bare WaitForNotification loop, to one subscription and to ten of one
// channel in turn, and takes the time from the beginning of the sending until everybody has the last one. The ratios are the
// rates over that of the bare loop; with ten subscriptions each notification counts once.
func BenchmarkDelivery(b *testing.B) {
	const burst, transactions = 10_000, 10
	fixture := setup(b)
	fixture.options.Buffer = burst * transactions
	ctx := context.Background()

	conn := fixture.connect(fixture.conn.Config())
	if _, err := conn.Exec(ctx, `listen bare`); err != nil {
		b.Fatal(err)
	}
	l := fixture.listener()
	fixture.run(l)
	one := []*Subscription{fixture.established(l, "one")}
	var ten []*Subscription
	for range 10 {
		ten = append(ten, fixture.established(l, "ten"))
	}

	took := map[string]time.Duration{}
	send := func(channel string, receivers ...func()) {
		var done sync.WaitGroup
		for _, receive := range receivers {
			done.Go(func() {
				for range burst * transactions {
					receive()
				}
			})
		}
		began := time.Now()
		for range transactions {
			fixture.exec(`select pg_notify($1, n::text || repeat('x', 64)) from generate_series(1, $2) n`, channel, burst)
		}
		done.Wait()
		took[channel] += time.Since(began)
	}
	reading := func(subscriptions []*Subscription) (receivers []func()) {
		for _, s := range subscriptions {
			receivers = append(receivers, func() { <-s.Messages() })
		}
		return receivers
	}
	for b.Loop() {
		send("bare", func() {
			if _, err := conn.WaitForNotification(ctx); err != nil {
				b.Error(err)
			}
		})
		send("one", reading(one)...)
		send("ten", reading(ten)...)
	}
	rate := func(channel string) float64 { return float64(b.N) * burst * transactions / took[channel].Seconds() }
	b.ReportMetric(rate("bare"), "bare/s")
	for _, channel := range []string{"one", "ten"} {
		b.ReportMetric(rate(channel), channel+"/s")
		b.ReportMetric(rate(channel)/rate("bare"), fmt.Sprintf("ratio-%s", channel))
	}
	if dropped := l.Stats().Dropped; dropped > 0 {
		b.Errorf("dropped %d messages", dropped)
	}
}
