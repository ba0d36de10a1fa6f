package demo

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/fleet"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/privatepg"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/replica"
)

//go:embed demo.hcl
var config []byte

const (
	replicaCount = 3
	killEvery    = 3 * time.Second // give or take a sixth, so that kills fall anywhere between two ticks
	insertEvery  = 10 * time.Millisecond
	watchEvery   = 10 * time.Millisecond
	settleWithin = 15 * time.Second // for what is under way when the demo ends
	firstLeader  = 30 * time.Second
)

// Options of Run. Out is required.
type Options struct {
	Out  io.Writer
	Live bool          // Out is a terminal that takes escape sequences
	For  time.Duration // 0: until ctx is done
}

// ErrBroken means that the witness saw something that must not happen.
var ErrBroken = errors.New("the demo saw something that must not happen")

// demo is one run.
type demo struct {
	options Options
	url     string
	witness *fleet.Witness
	members []*member
	screen  *screen
	led     chan struct{} // closed by observe when there is a first leader

	mu        sync.Mutex // guards all below
	inserted  []int64
	leader    leader
	takeovers []takeover
	killedAt  time.Time   // zero: no leader was killed since the last takeover
	cutOff    []time.Time // ticks whose run a kill cut off
}

// Run shows the demo until ctx is done or Options.For is over. It returns ErrBroken if anything was lost, doubled, left
// out or overlapped.
func Run(ctx context.Context, options Options) error {
	fmt.Fprintln(options.Out, "Starting PostgreSQL …")
	server, err := privatepg.Start(ctx, privatepg.Options{Progress: options.Out})
	if ctx.Err() != nil {
		return nil // stopped before it began
	}
	if err != nil {
		return err
	}
	defer server.Stop()
	d := &demo{options: options, url: server.URL("postgres"), led: make(chan struct{})}
	if err := replica.Migrate(ctx, d.url, "pgsolo"); err != nil {
		return err
	}
	// No replica is frozen or cut off here: a call that is open when that of a later term arrives is an overlap.
	if d.witness, err = fleet.NewWitness(fleet.WitnessOptions{CountOpen: true}); err != nil {
		return err
	}
	defer d.witness.Close()
	d.members = newMembers(replicaCount, d.url, d.witness.URL)
	d.screen = newScreen(options.Out, options.Live)
	return d.run(ctx)
}

// run starts everything, waits for the end, lets what is under way settle, and judges.
func (d *demo) run(ctx context.Context) error {
	watch, err := pgx.Connect(ctx, d.url)
	if err != nil {
		return err
	}
	produce, err := pgx.Connect(ctx, d.url)
	if err != nil {
		return err
	}
	lasting := context.WithoutCancel(ctx)
	defer watch.Close(lasting)
	defer produce.Close(lasting)

	var replicas sync.WaitGroup
	stopReplicas, failed := make(chan struct{}), make(chan error, len(d.members))
	for _, m := range d.members {
		replicas.Go(func() {
			if err := m.keep(stopReplicas); err != nil {
				failed <- err
			}
		})
	}
	defer replicas.Wait()
	defer sync.OnceFunc(func() { close(stopReplicas) })()

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var acting, watching sync.WaitGroup
	watchCtx, stopWatching := context.WithCancel(lasting)
	defer watching.Wait()
	defer stopWatching()
	watching.Go(func() { d.watch(watchCtx, watch, cancel) })
	if err := d.await(ctx, failed); err != nil {
		return err
	}
	if d.options.For > 0 {
		timer := time.AfterFunc(d.options.For, func() { cancel(nil) })
		defer timer.Stop()
	}
	acting.Go(func() { d.produce(ctx, produce, cancel) })
	acting.Go(func() { d.killLeaders(ctx) })
	select {
	case <-ctx.Done():
	case err := <-failed:
		cancel(err)
	}
	acting.Wait()
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	d.settle(lasting)
	stopWatching()
	watching.Wait()
	return d.judge()
}

// await waits for the first leader.
func (d *demo) await(ctx context.Context, failed <-chan error) error {
	select {
	case <-d.led:
	case <-ctx.Done():
	case err := <-failed:
		return err
	case <-time.After(firstLeader):
		return fmt.Errorf("no replica leads after %s", firstLeader)
	}
	return nil
}

// settle waits until every event has arrived, for a bounded time.
func (d *demo) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for d.missing(d.events()) > 0 {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
