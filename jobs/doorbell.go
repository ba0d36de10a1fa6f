package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// doorbellChannel is where the trigger on the event log rings.
	doorbellChannel = "pgsolo.event"

	// More than busyRings within busyWindow, and the producers are told not to ring: each NOTIFY makes a commit wait for an
	// instance-wide lock. The log is then read every awakePoll, until nothing has come for busyWindow.
	busyRings  = 20
	busyWindow = 100 * time.Millisecond
	awakePoll  = 5 * time.Millisecond

	// While the bell is armed, a producer whose transaction read it before that does not ring. So the log is read all the
	// same, at first soon and then at growing intervals.
	minBackstop = awakePoll
	maxBackstop = time.Second
)

// doorbell wakes the consumers when there may be something to read.
type doorbell struct {
	pool   *pgxpool.Pool
	schema string
	group  string
	term   int64
	logger hclog.Logger

	subscription Subscription
	ring         func()       // wakes every consumer
	read         func() int64 // how many rows the consumers have read so far
}

// run alternates between waiting for rings and reading often, until ctx is done or stop is closed.
func (d *doorbell) run(ctx context.Context, stop <-chan struct{}) error {
	defer d.subscription.Close()
	for ctx.Err() == nil {
		if err := d.arm(ctx, true); err != nil {
			return err
		}
		d.ring() // what came before it was armed did not ring
		busy, err := d.sleep(ctx, stop)
		if err != nil || !busy {
			return err
		}
		if err := d.arm(ctx, false); err != nil {
			return err
		}
		if done := d.pollWhileBusy(ctx, stop); done {
			return nil
		}
	}
	return nil
}

// sleep passes rings on. It returns true when they come so often that reading without them is cheaper.
func (d *doorbell) sleep(ctx context.Context, stop <-chan struct{}) (busy bool, err error) {
	var (
		backstop = minBackstop
		timer    = time.NewTimer(backstop)
		rings    int
		window   time.Time
		renew    = time.NewTicker(renewEvery)
	)
	defer timer.Stop()
	defer renew.Stop()
	for {
		select {
		case <-ctx.Done():
			return false, nil
		case <-stop:
			return false, nil
		case _, ok := <-d.subscription.Messages:
			if !ok {
				return false, d.deaf(ctx)
			}
			d.ring()
			if now := time.Now(); now.Sub(window) > busyWindow {
				window, rings = now, 0
			}
			if rings++; rings > busyRings {
				return true, nil
			}
		case <-d.subscription.Missed:
			d.ring()
		case <-timer.C:
			d.ring()
			backstop = min(2*backstop, maxBackstop)
			timer.Reset(backstop)
		case <-renew.C:
			if err := d.arm(ctx, true); err != nil {
				return false, err
			}
		}
	}
}

// deaf is the end of the subscription: an error, unless everything is ending.
func (d *doorbell) deaf(ctx context.Context) error {
	if ctx.Err() != nil {
		return nil
	}
	return errors.New("the event log's doorbell has no LISTEN session any more")
}

// pollWhileBusy wakes the consumers often, until they find nothing. It returns true if everything is to end.
func (d *doorbell) pollWhileBusy(ctx context.Context, stop <-chan struct{}) (done bool) {
	ticker := time.NewTicker(awakePoll)
	defer ticker.Stop()
	read, since := d.read(), time.Now()
	for {
		select {
		case <-ctx.Done():
			return true
		case <-stop:
			return true
		case <-ticker.C:
			d.ring()
			if now := d.read(); now != read {
				read, since = now, time.Now()
			} else if time.Since(since) > busyWindow {
				return false
			}
		}
	}
}

// The row of a group that is no more would keep producers ringing for ever: whoever is busy clears it. A leader that sleeps
// renews its own more often, so a row that is cleared by mistake costs a poll's delay at the most.
const (
	armDoorbell = `insert into pgsolo.doorbell as d ("group", armed, term) values ($1, true, $2)
		on conflict ("group") do update set armed = true, armed_at = now(), term = excluded.term where d.term <= excluded.term`

	disarmDoorbell = `update pgsolo.doorbell set armed = false, term = case when "group" = $1 then $2 else term end
		where "group" = $1 and term <= $2 or "group" <> $1 and armed and armed_at < now() - interval '10 minutes'`

	renewEvery = time.Minute
)

func (d *doorbell) arm(ctx context.Context, armed bool) error {
	statement := disarmDoorbell
	if armed {
		statement = armDoorbell
	}
	return persist(ctx, d.logger, "arm doorbell", func(ctx context.Context) error {
		tag, err := d.pool.Exec(ctx, inSchema(statement, d.schema), d.group, d.term)
		if err == nil && tag.RowsAffected() == 0 {
			return fmt.Errorf("doorbell: %w", ErrFenced)
		}
		return err
	})
}

// pollWithoutBell reads at a fixed pace, for a runner that has no LISTEN session.
func pollWithoutBell(ctx context.Context, stop <-chan struct{}, ring func()) {
	ticker := time.NewTicker(busyWindow)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-stop:
			return
		case <-ticker.C:
			ring()
		}
	}
}
