package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/listener"
)

const (
	burst        = 10_000 // notifications in a transaction
	transactions = 10     // in a sample of the delivery
)

// rivals are a bare connection and a listener, each with a session of its own.
type rivals struct {
	*run
	ctx      context.Context // ends everything that waits for a notification, the bare connection too
	cancel   context.CancelCauseFunc
	conn     *pgx.Conn
	listener *listening
	severed  func() bool // undoes what ends the bare connection's wait with ctx
}

// receive waits for one notification.
type receive func() error

const bareChannel = "pgsolo_bench_bare"

// newRivals returns them when both listen. The caller closes them.
func (r listeners) newRivals(ctx context.Context) (*rivals, error) {
	conn, _, err := r.bare(ctx, []string{bareChannel})
	if err != nil {
		return nil, err
	}
	v := &rivals{run: r.run, conn: conn}
	v.ctx, v.cancel = context.WithCancelCause(ctx)
	v.severed = context.AfterFunc(v.ctx, func() { _ = conn.PgConn().Conn().SetDeadline(time.Unix(1, 0)) })
	v.listener, err = r.listen(v.ctx, listener.Options{Buffer: burst * transactions})
	if err != nil {
		v.closeBare()
		return nil, err
	}
	return v, nil
}

func (v *rivals) close() error {
	err := v.listener.close()
	v.closeBare()
	return err
}

func (v *rivals) closeBare() {
	v.severed()
	v.cancel(nil)
	_ = v.conn.Close(context.WithoutCancel(v.ctx))
}

// bare is the floor. Its context is none that could end, for which pgx would have to watch during each wait.
func (v *rivals) bare() error {
	_, err := v.conn.WaitForNotification(context.Background())
	return err
}

// subscriber subscribes, and receives with what it returns.
func (v *rivals) subscriber(channel string) (receive, error) {
	subscriptions, err := v.listener.subscribe(v.ctx, []string{channel})
	if err != nil {
		return nil, err
	}
	messages := subscriptions[0].Messages()
	return func() error {
		if _, open := <-messages; !open {
			return errors.New("the listener has ended")
		}
		return nil
	}, nil
}

// limited ends what waits if it takes too long. The caller calls what it returns when it does not.
func (v *rivals) limited() (stop func() bool) {
	return time.AfterFunc(patience, func() {
		v.cancel(fmt.Errorf("notifications have not arrived within %s", patience))
	}).Stop
}

// complaint is the reason for which waits were ended, if they were.
func (v *rivals) complaint(err error) error {
	if v.ctx.Err() != nil {
		return context.Cause(v.ctx)
	}
	return err
}

// deliver sends one sample's notifications, and returns how many of them all receivers have had per second.
func (v *rivals) deliver(channel string, receivers ...receive) (perSecond float64, err error) {
	const sendBurst = `select pg_notify($1, n::text || repeat('x', 64)) from generate_series(1, $2) n`
	defer v.limited()()
	var done sync.WaitGroup
	began := time.Now()
	for _, next := range receivers {
		done.Go(func() {
			for range burst * transactions {
				if err := next(); err != nil {
					v.cancel(fmt.Errorf("receive: %w", err))
					return
				}
			}
		})
	}
	for range transactions {
		if _, err := v.own.Exec(v.ctx, sendBurst, channel, burst); err != nil {
			v.cancel(fmt.Errorf("notify: %w", err))
			break
		}
	}
	done.Wait()
	return burst * transactions / time.Since(began).Seconds(), v.complaint(nil)
}

func (r listeners) measureDelivery(ctx context.Context) (err error) {
	v, err := r.newRivals(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.close()) }()
	receivers := map[string][]receive{bareChannel: {v.bare}}
	for channel, subscribers := range map[string]int{"one": 1, "ten": 10} {
		for range subscribers {
			next, err := v.subscriber(channel)
			if err != nil {
				return err
			}
			receivers[channel] = append(receivers[channel], next)
		}
	}
	rates := map[string][]float64{}
	for i := range r.sizes.bursts {
		r.progress.step("delivery", i+1, r.sizes.bursts)
		for _, channel := range []string{bareChannel, "one", "ten"} {
			rate, err := v.deliver(channel, receivers[channel]...)
			if err != nil {
				return fmt.Errorf("delivery: %w", err)
			}
			rates[channel] = append(rates[channel], rate)
		}
	}
	floor, goal := rates[bareChannel], atLeast("ratio", 0.8)
	return r.report(
		newFigure("delivery_1_subscriber", "1/s", rates["one"], floor, goal),
		newFigure("delivery_10_subscribers", "1/s", rates["ten"], floor, goal),
	)
}

// pass sends one notification, and returns how long it took to arrive.
func (v *rivals) pass(channel string, next receive) (time.Duration, error) {
	defer v.limited()()
	var began time.Time
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		began = time.Now()
		if _, err := v.own.Exec(v.ctx, `select pg_notify($1, '')`, channel); err != nil {
			v.cancel(fmt.Errorf("notify: %w", err))
		}
	}()
	err := next()
	at := time.Now()
	<-sent
	return at.Sub(began), v.complaint(err)
}

func (r listeners) measureLatency(ctx context.Context) (err error) {
	v, err := r.newRivals(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.close()) }()
	subscriber, err := v.subscriber("one")
	if err != nil {
		return err
	}
	var floors, samples []time.Duration
	for i := range r.sizes.notifies {
		r.progress.step("latency", i+1, r.sizes.notifies)
		floor, err := v.pass(bareChannel, v.bare)
		if err != nil {
			return fmt.Errorf("latency: floor: %w", err)
		}
		took, err := v.pass("one", subscriber)
		if err != nil {
			return fmt.Errorf("latency: %w", err)
		}
		floors, samples = append(floors, floor), append(samples, took)
	}
	return r.report(newFigure("latency", "ms", milliseconds(samples), milliseconds(floors), atMost("ratio", 1.2)))
}
