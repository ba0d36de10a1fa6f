package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/listener"
)

const listenerFigures = `What a listener adds to a LISTEN session, and what it costs while nothing happens.

  delivery_1_subscriber    notifications per second: 100,000 in ten transactions, from the first send
                           until the subscriber has the last
  delivery_10_subscribers  the same until ten subscribers of the channel have it; each notification
                           counts once
  latency                  from just before a NOTIFY is sent, to the subscriber; one at a time
  subscribe_1000           1,000 Subscribe calls on a session that is up, until all are established

Their floor is pgx alone: a loop of WaitForNotification, and one LISTEN of 1,000 channels in one
round trip. With -n 100 there are 7 samples of delivery, 500 of latency and 50 of subscribe_1000.

  probe                    round trip of what the listener asks the server to prove that it delivers,
                           on a bare connection with 1,000 channels
  idle_transactions        in the server, per second, by a listener with 1,000 idle channels that
                           probes every 250 ms rather than the 5 s that are the default
  idle_server_cpu          time of the session's process per probe, with 1,000 idle channels, on Linux
                           where the server is this machine's
  idle_client_cpu          time of this process per probe, with 1,000 idle channels

Their floor is the same with one channel, in turns of seconds. The probe's figure is no goal: it is
what the server does in one go, every 5 s.`

// listenerName is the application_name of the listener's session.
const listenerName = "pgsolo bench listener"

// manyChannels is what the figures with many channels have.
const manyChannels = 1000

// listeners are the figures of one run that are about listening.
type listeners struct{ *run }

func measureListener(ctx context.Context, of *run) error {
	r := listeners{of}
	for _, measure := range []func(context.Context) error{
		r.measureDelivery, r.measureLatency, r.measureSubscribe, r.measureIdle,
	} {
		if err := measure(ctx); err != nil {
			return err
		}
	}
	return nil
}

// listening is a listener that runs.
type listening struct {
	*listener.Listener
	stop   context.CancelFunc
	result chan error // what Run has returned; capacity 1
}

// listen returns when the listener's session is up. The caller closes it.
func (r *run) listen(ctx context.Context, options listener.Options) (*listening, error) {
	config, err := pgx.ParseConfig(r.url)
	if err != nil {
		return nil, err
	}
	config.RuntimeParams["application_name"] = listenerName
	options.Config = config
	l := &listening{result: make(chan error, 1)}
	if l.Listener, err = listener.New(options); err != nil {
		return nil, err
	}
	ctx, l.stop = context.WithCancel(ctx)
	go func() { l.result <- l.Run(ctx) }()
	err = await(ctx, "the listener's session", func(context.Context) (bool, error) { return l.Stats().Connected, nil })
	if err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

// close ends the session, and says why the figures are void if they are.
func (l *listening) close() error {
	stats := l.Stats()
	l.stop()
	if err := <-l.result; err != nil {
		return err
	}
	if stats.Reconnects > 0 || stats.Dropped > 0 {
		return fmt.Errorf("the listener lost its session %d times and dropped %d messages",
			stats.Reconnects, stats.Dropped)
	}
	return nil
}

// subscribe returns when LISTEN is in force on all channels.
func (l *listening) subscribe(ctx context.Context, channels []string) (all []*listener.Subscription, err error) {
	for _, channel := range channels {
		s, err := l.Subscribe(channel)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for _, s := range all {
		select {
		case <-s.Established():
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-timeout.C:
			return nil, fmt.Errorf("waited %s for LISTEN", patience)
		}
	}
	return all, nil
}

// bare returns a connection that listens on the channels, and how long LISTEN took. The caller closes it.
func (r *run) bare(ctx context.Context, channels []string) (*pgx.Conn, time.Duration, error) {
	config, err := pgx.ParseConfig(r.url) // that of another connection would hand its notifications to that one
	if err != nil {
		return nil, 0, err
	}
	config.RuntimeParams["application_name"] = ownName
	sessions(config)
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, 0, err
	}
	began := time.Now()
	if _, err := conn.PgConn().Exec(ctx, listenOn(channels)).ReadAll(); err != nil {
		_ = conn.Close(ctx)
		return nil, 0, fmt.Errorf("listen: %w", err)
	}
	return conn, time.Since(began), nil
}

func listenOn(channels []string) string {
	var statements strings.Builder
	for _, channel := range channels {
		statements.WriteString("listen " + pgx.Identifier{channel}.Sanitize() + ";")
	}
	return statements.String()
}

// channelNames returns n names.
func channelNames(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("pgsolo_bench_channel_%04d", i))
	}
	return names
}
