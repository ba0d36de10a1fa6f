package listener

import (
	"context"
	"testing"
	"time"
)

// BenchmarkDelivery sends bursts to a bare WaitForNotification loop and to one subscription in turn, and takes the time from the
// first message of a burst to its last. The ratio is the subscription's rate over that of the bare loop.
func BenchmarkDelivery(b *testing.B) {
	const burst = 20000
	fixture := setup(b)
	fixture.options.Buffer = burst
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	conn := fixture.connect(fixture.conn.Config())
	if _, err := conn.Exec(ctx, `listen bare`); err != nil {
		b.Fatal(err)
	}
	l := fixture.listener()
	fixture.run(l)
	s := fixture.established(l, "subscribed")

	var bare, delivered time.Duration
	for b.Loop() {
		bare += fixture.timeBurst("bare", burst, func() error {
			_, err := conn.WaitForNotification(ctx)
			return err
		})
		delivered += fixture.timeBurst("subscribed", burst, func() error {
			<-s.Messages()
			return nil
		})
	}
	rate := func(took time.Duration) float64 { return float64(b.N) * (burst - 1) / took.Seconds() }
	b.ReportMetric(rate(delivered), "delivered/s")
	b.ReportMetric(rate(bare), "bare/s")
	b.ReportMetric(rate(delivered)/rate(bare), "ratio")
	if dropped := l.Stats().Dropped; dropped > 0 {
		b.Errorf("dropped %d messages", dropped)
	}
}

// timeBurst sends a burst in one transaction while another goroutine receives it, and returns the time that the messages
// after the first took to arrive.
func (b *bench) timeBurst(channel string, burst int, receive func() error) time.Duration {
	const sendBurst = `select pg_notify($1, n::text || repeat('x', 64)) from generate_series(1, $2) n`
	var took time.Duration
	done := make(chan error, 1)
	go func() {
		var start time.Time
		for i := range burst {
			if err := receive(); err != nil {
				done <- err
				return
			}
			if i == 0 {
				start = time.Now()
			}
		}
		took = time.Since(start)
		done <- nil
	}()
	b.exec(sendBurst, channel, burst)
	if err := awaitError(b.t, done); err != nil {
		b.t.Fatal(err)
	}
	return took
}
