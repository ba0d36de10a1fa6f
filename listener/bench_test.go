package listener

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// bare returns a connection that listens on the channels by itself, and how long LISTEN took.
func (b *bench) bare(channels ...string) (*pgx.Conn, time.Duration) {
	b.t.Helper()
	conn := b.connect(b.options.Config)
	var statements strings.Builder
	for _, channel := range channels {
		statements.WriteString("listen " + pgx.Identifier{channel}.Sanitize() + ";")
	}
	began := time.Now()
	if _, err := conn.PgConn().Exec(context.Background(), statements.String()).ReadAll(); err != nil {
		b.t.Fatal(err)
	}
	return conn, time.Since(began)
}

// next waits for a notification, in any goroutine.
func (b *bench) next(conn *pgx.Conn) {
	if _, err := conn.WaitForNotification(context.Background()); err != nil {
		b.t.Error(err)
	}
}

// BenchmarkDelivery sends transactions of notifications to a bare WaitForNotification loop, to one subscription and to
// ten of one channel in turn, and takes the time from the beginning of the sending until each subscription has the last
// one. The ratios are the rates over that of the bare loop; with ten subscriptions each notification counts once.
func BenchmarkDelivery(b *testing.B) {
	const burst, transactions = 10_000, 10
	fixture := setup(b)
	fixture.options.Buffer = burst * transactions
	conn, _ := fixture.bare("bare")
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
			fixture.exec(`select pg_notify($1, n::text || repeat('x', 64)) from generate_series(1, $2) n`, channel,
				burst)
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
		send("bare", func() { fixture.next(conn) })
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

// BenchmarkLatency sends one NOTIFY at a time to a bare WaitForNotification and to a subscription in turn, and takes
// the time from just before it is sent until it has arrived.
func BenchmarkLatency(b *testing.B) {
	fixture := setup(b)
	conn, _ := fixture.bare("bare")
	l := fixture.listener()
	fixture.run(l)
	s := fixture.established(l, "ours")

	pass := func(channel string, receive func()) time.Duration {
		var began time.Time
		var sent sync.WaitGroup
		sent.Go(func() {
			began = time.Now()
			fixture.exec(`select pg_notify($1, '')`, channel)
		})
		receive()
		at := time.Now()
		sent.Wait()
		return at.Sub(began)
	}
	var bare, ours []time.Duration
	for b.Loop() {
		bare = append(bare, pass("bare", func() { fixture.next(conn) }))
		ours = append(ours, pass("ours", func() { <-s.Messages() }))
	}
	reportMedians(b, bare, ours)
}

// BenchmarkSubscribe1000 takes the time from 1,000 calls of Subscribe on a session that is up until all are
// established, and that of one LISTEN of as many channels in one round trip, each on a new session.
func BenchmarkSubscribe1000(b *testing.B) {
	fixture := setup(b)
	var channels []string
	for i := range 1000 {
		channels = append(channels, fmt.Sprintf("channel_%04d", i))
	}
	var bare, ours []time.Duration
	for b.Loop() {
		conn, took := fixture.bare(channels...)
		bare = append(bare, took)
		_ = conn.Close(context.Background())

		l := fixture.listener()
		ended, stop := fixture.run(l)
		pgtest.Eventually(b, "a session", func() bool { return l.Stats().Connected })
		began := time.Now()
		var subscriptions []*Subscription
		for _, channel := range channels {
			subscriptions = append(subscriptions, fixture.subscribe(l, channel))
		}
		for _, s := range subscriptions {
			<-s.Established()
		}
		ours = append(ours, time.Since(began))
		stop()
		if err := <-ended; err != nil {
			b.Fatal(err)
		}
	}
	reportMedians(b, bare, ours)
}

func reportMedians(b *testing.B, bare, ours []time.Duration) {
	slices.Sort(bare)
	slices.Sort(ours)
	floor, median := bare[len(bare)/2], ours[len(ours)/2]
	b.ReportMetric(float64(floor.Microseconds()), "bare-µs")
	b.ReportMetric(float64(median.Microseconds()), "median-µs")
	b.ReportMetric(float64(ours[len(ours)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(float64(median)/float64(floor), "ratio")
}
