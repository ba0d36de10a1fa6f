package demo

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

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
	witness *witness
	members []*member
	screen  *screen
	led     chan struct{} // closed by observe when there is a first leader

	mu        sync.Mutex // guards all below
	inserted  []int64
	leader    leader
	takeovers []takeover
	killedAt  time.Time   // zero: nobody was killed since the last takeover
	cutOff    []time.Time // ticks whose run a kill cut off
}

type leader struct {
	term  int64
	pid   int
	since time.Time
}

// takeover is one change of leaders after a kill: how long until the next one had its term, and until its first event arrived.
type takeover struct {
	term                   int64
	killedAt               time.Time
	untilTerm, untilHandle time.Duration // untilHandle: 0 until it is known
}

// Run shows the demo until ctx is done or Options.For is over. It returns ErrBroken if anything was lost, doubled, left out or
// overlapped.
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
	if d.witness, err = newWitness(); err != nil {
		return fmt.Errorf("start witness: %w", err)
	}
	defer d.witness.close()
	if d.members, err = newMembers(replicaCount, d.url, d.witness.url); err != nil {
		return err
	}
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
			if err := m.keep(stopReplicas, io.Discard); err != nil {
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

// produce inserts an event at a time.
func (d *demo) produce(ctx context.Context, conn *pgx.Conn, fail func(error)) {
	const insert = `insert into pgsolo.event (topic, payload) values ('orders', jsonb_build_object('n', $1::int)) returning id`
	ticker := time.NewTicker(insertEvery)
	defer ticker.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		var id int64
		// An insert under way is finished: an event whose fate is unknown could not be judged.
		if err := conn.QueryRow(context.WithoutCancel(ctx), insert, n).Scan(&id); err != nil {
			fail(fmt.Errorf("insert event: %w", err))
			return
		}
		d.mu.Lock()
		d.inserted = append(d.inserted, id)
		d.mu.Unlock()
	}
}

// killLeaders kills the leader every now and then, provided that the last takeover is over.
func (d *demo) killLeaders(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(killEvery - killEvery/6 + rand.N(killEvery/3)):
		}
		d.killLeader()
	}
}

func (d *demo) killLeader() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, m := range d.members {
		if pid := m.pid(); pid != 0 && pid == d.leader.pid && d.killedAt.IsZero() {
			d.witness.killing(d.leader.term)
			d.killedAt = time.Now()
			m.kill()
			return
		}
	}
}

// watch follows the leader row and keeps the screen up to date.
func (d *demo) watch(ctx context.Context, conn *pgx.Conn, fail func(error)) {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		if err := d.observe(context.WithoutCancel(ctx), conn); err != nil {
			fail(err)
			return
		}
		if d.screen.due() {
			d.screen.draw(d.snapshot())
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// observe reads the leader row, whose since is from the clock of this same machine.
func (d *demo) observe(ctx context.Context, conn *pgx.Conn) error {
	const selectLeader = `select term, split_part(holder, '/', -1)::int, since,
			array(select scheduled_at from pgsolo.cron_run where outcome = 'interrupted')
		from pgsolo.leader where term > 0`
	var (
		now    leader
		cutOff []time.Time
	)
	err := conn.QueryRow(ctx, selectLeader).Scan(&now.term, &now.pid, &now.since, &cutOff)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read leader row: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if now.term > d.leader.term && !d.killedAt.IsZero() {
		d.takeovers = append(d.takeovers, takeover{term: now.term, killedAt: d.killedAt, untilTerm: now.since.Sub(d.killedAt)})
		d.killedAt = time.Time{}
	}
	if d.leader.term == 0 {
		close(d.led)
	}
	d.leader, d.cutOff = now, cutOff
	if n := len(d.takeovers); n > 0 && d.takeovers[n-1].untilHandle == 0 {
		last := &d.takeovers[n-1]
		if at, ok := d.witness.firstEvent(last.term); ok {
			last.untilHandle = at.Sub(last.killedAt)
		}
	}
	return nil
}

// settle waits until every event has arrived, for a bounded time.
func (d *demo) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for d.witness.missing(d.events()) > 0 {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (d *demo) events() []int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.inserted
}
