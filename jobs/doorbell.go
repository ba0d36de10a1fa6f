package jobs

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// doorbellChannel is where the trigger on the event log rings.
	doorbellChannel = "pgsolo.event"

	// retryMessage says that somebody has changed deliveries. Any other message says that there are events.
	retryMessage = "retry"

	// More than busyRings within busyWindow, and the producers are told not to ring: each NOTIFY makes a commit wait for an
	// instance-wide lock. The log is then read every awakePoll, until nothing has come for busyWindow.
	busyRings  = 20
	busyWindow = 100 * time.Millisecond
	awakePoll  = 5 * time.Millisecond
)

// doorbell wakes the consumers when producers say that there is something to read. What comes without a ring is found by the poll.
type doorbell struct {
	pool   *pgxpool.Pool
	schema string
	group  string
	term   int64
	logger hclog.Logger

	subscription Subscription
	poll         *poll
	mode         *atomic.Value // a RingMode, for others
}

// run alternates between waiting for rings and reading often, until ctx is done or stop is closed.
func (d *doorbell) run(ctx context.Context, stop <-chan struct{}) error {
	defer d.subscription.Close()
	for ctx.Err() == nil {
		if err := d.arm(ctx, true); err != nil {
			return err
		}
		d.mode.Store(RingArmed)
		d.poll.ring()          // what came before it was armed did not ring
		signal(d.poll.restart) // nor did a producer who looked at the bell before that, and commits only now
		busy, err := d.sleep(ctx, stop)
		if err != nil || !busy {
			return err
		}
		if err := d.arm(ctx, false); err != nil {
			return err
		}
		d.mode.Store(RingBusy)
		if idle, err := d.pollWhileBusy(ctx, stop); err != nil || !idle {
			return err
		}
	}
	return nil
}

// sleep passes rings on. It returns true when they come so often that reading without them is cheaper.
func (d *doorbell) sleep(ctx context.Context, stop <-chan struct{}) (busy bool, err error) {
	var (
		rings  int
		window time.Time
		renew  = time.NewTicker(renewEvery)
	)
	defer renew.Stop()
	for {
		select {
		case <-ctx.Done():
			return false, nil
		case <-stop:
			return false, nil
		case message, ok := <-d.subscription.Messages:
			if !ok {
				return false, d.deaf(ctx)
			}
			if message == retryMessage {
				d.poll.retryNow()
				continue
			}
			d.poll.ring()
			if now := time.Now(); now.Sub(window) > busyWindow {
				window, rings = now, 0
			}
			if rings++; rings > busyRings {
				return true, nil
			}
		case <-d.subscription.Missed:
			d.poll.ring()
			d.poll.retryNow()
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

// pollWhileBusy wakes the consumers often, until they find nothing. Then it returns true; false, if everything is to end.
func (d *doorbell) pollWhileBusy(ctx context.Context, stop <-chan struct{}) (idle bool, err error) {
	ticker := time.NewTicker(awakePoll)
	defer ticker.Stop()
	read, since := d.poll.rowsRead(), time.Now()
	for {
		select {
		case <-ctx.Done():
			return false, nil
		case <-stop:
			return false, nil
		case message, ok := <-d.subscription.Messages: // of those who saw the bell armed
			if !ok {
				return false, d.deaf(ctx)
			}
			if message == retryMessage {
				d.poll.retryNow()
			}
		case <-d.subscription.Missed:
			d.poll.retryNow()
		case <-ticker.C:
			d.poll.ring()
			if now := d.poll.rowsRead(); now != read {
				read, since = now, time.Now()
			} else if time.Since(since) > busyWindow {
				return true, nil
			}
		}
	}
}

// A leader that sleeps says so again more often than pgsolo.arm takes its group for one that is no more.
const (
	armDoorbell = `select pgsolo.arm($1, $2, $3)`
	renewEvery  = time.Minute
)

func (d *doorbell) arm(ctx context.Context, armed bool) error {
	return persist(ctx, d.logger, "arm doorbell", func(ctx context.Context) error {
		var ours bool
		err := d.pool.QueryRow(ctx, inSchema(armDoorbell, d.schema), d.group, armed, d.term).Scan(&ours)
		if err == nil && !ours {
			return fmt.Errorf("doorbell: %w", ErrFenced)
		}
		return err
	})
}
