package wake

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/loop"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

const (
	// doorbellChannel is where the trigger on the event log rings.
	DoorbellChannel = "pgsolo.event"

	// retryMessage says that somebody has changed deliveries. Any other message says that there are events.
	RetryMessage = "retry"

	// More than busyRings within busyWindow, and the producers are told not to ring: each NOTIFY makes a commit wait for an
	// instance-wide lock. The log is then read every awakePoll, until nothing has come for busyWindow.
	busyRings  = 20
	busyWindow = 100 * time.Millisecond
	awakePoll  = 5 * time.Millisecond
)

// Mode says how the leader hears of new events.
type Mode string

// The modes.
const (
	ModeNone  Mode = ""      // there is no leader, or it reads nothing
	modeArmed Mode = "armed" // producers ring
	modeBusy  Mode = "busy"  // so many rang that the log is read every few milliseconds instead, and they are told not to
	ModeOff   Mode = "off"   // there is no bell: the log is polled
)

// Doorbell wakes the consumers when producers say that there is something to read. What comes without a ring is found by the poll.
type Doorbell struct {
	Pool   *pgxpool.Pool
	Schema string
	Group  string
	Term   int64
	Logger hclog.Logger

	Subscription jobs.Subscription
	Poll         *Poll
	Mode         *atomic.Value // a ringMode, for others
}

// Run alternates between waiting for rings and reading often, until ctx is done or stop is closed.
func (d *Doorbell) Run(ctx context.Context, stop <-chan struct{}) error {
	defer d.Subscription.Close()
	for ctx.Err() == nil {
		if err := d.Arm(ctx, true); err != nil {
			return err
		}
		d.Mode.Store(modeArmed)
		d.Poll.ring()               // what came before it was armed did not ring
		loop.Signal(d.Poll.Restart) // nor did a producer who looked at the bell before that, and commits only now
		busy, err := d.sleep(ctx, stop)
		if err != nil || !busy {
			return err
		}
		if err := d.Arm(ctx, false); err != nil {
			return err
		}
		d.Mode.Store(modeBusy)
		if idle, err := d.pollWhileBusy(ctx, stop); err != nil || !idle {
			return err
		}
	}
	return nil
}

// sleep passes rings on. It returns true when they come so often that reading without them is cheaper.
func (d *Doorbell) sleep(ctx context.Context, stop <-chan struct{}) (busy bool, err error) {
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
		case message, ok := <-d.Subscription.Messages:
			if !ok {
				return false, d.deaf(ctx)
			}
			if message == RetryMessage {
				d.Poll.retryNow()
				continue
			}
			d.Poll.ring()
			if now := time.Now(); now.Sub(window) > busyWindow {
				window, rings = now, 0
			}
			if rings++; rings > busyRings {
				return true, nil
			}
		case <-d.Subscription.Missed:
			d.Poll.ring()
			d.Poll.retryNow()
		case <-renew.C:
			if err := d.Arm(ctx, true); err != nil {
				return false, err
			}
		}
	}
}

// deaf is the end of the subscription: an error, unless everything is ending.
func (d *Doorbell) deaf(ctx context.Context) error {
	if ctx.Err() != nil {
		return nil
	}
	return errors.New("the event log's doorbell has no LISTEN session any more")
}

// pollWhileBusy wakes the consumers often, until they find nothing. Then it returns true; false, if everything is to end.
func (d *Doorbell) pollWhileBusy(ctx context.Context, stop <-chan struct{}) (idle bool, err error) {
	ticker := time.NewTicker(awakePoll)
	defer ticker.Stop()
	read, since := d.Poll.rowsRead(), time.Now()
	for {
		select {
		case <-ctx.Done():
			return false, nil
		case <-stop:
			return false, nil
		case message, ok := <-d.Subscription.Messages: // of those who saw the bell armed
			if !ok {
				return false, d.deaf(ctx)
			}
			if message == RetryMessage {
				d.Poll.retryNow()
			}
		case <-d.Subscription.Missed:
			d.Poll.retryNow()
		case <-ticker.C:
			d.Poll.ring()
			if now := d.Poll.rowsRead(); now != read {
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

func (d *Doorbell) Arm(ctx context.Context, armed bool) error {
	return pg.Persist(ctx, d.Logger, "arm doorbell", func(ctx context.Context) error {
		var ours bool
		err := d.Pool.QueryRow(ctx, pg.Place(armDoorbell, d.Schema), d.Group, armed, d.Term).Scan(&ours)
		if err == nil && !ours {
			return fmt.Errorf("doorbell: %w", jobs.ErrFenced)
		}
		return err
	})
}
