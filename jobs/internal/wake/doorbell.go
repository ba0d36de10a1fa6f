package wake

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/loop"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

const (
	// Channel is where the trigger on the event log rings, before it is placed in a schema.
	Channel = "pgsolo.event"

	// RetryMessage says that deliveries were changed. Any other message says that there are events.
	RetryMessage = "retry"

	// After more than busyRings within busyWindow the bell is disarmed: each NOTIFY makes a commit wait for an
	// instance-wide lock. The log is then read every busyPoll, until nothing has come for busyWindow.
	busyRings  = 20
	busyWindow = 100 * time.Millisecond
	busyPoll   = 5 * time.Millisecond
)

// Bell is one group's row of the doorbell, as a leader arms and disarms it.
type Bell struct {
	DB     pg.DB
	Group  string
	Term   int64
	Logger hclog.Logger
}

// A leader that sleeps says so again more often than pgsolo.arm takes its group for one that is no more.
const (
	armDoorbell = `select pgsolo.arm($1, $2, $3)`
	renewEvery  = time.Minute
)

// Arm says whether producers are to ring. It returns ErrFenced, wrapped, when a newer leader of the group has said so.
func (b Bell) Arm(ctx context.Context, armed bool) error {
	return b.DB.Persist(ctx, b.Logger, "arm doorbell", b.arming(armed))
}

// Disarm is for a leader that has no bell, or needs none: one of another configuration may have left it armed. Where
// the role may not say so, producers ring for nothing.
func (b Bell) Disarm(ctx context.Context) error {
	err := b.DB.PersistAllowed(ctx, b.Logger, "disarm doorbell", b.arming(false))
	if pg.IsNotAllowed(err) {
		b.Logger.Debug("the role may not disarm the doorbell", "error", err)
		return nil
	}
	return err
}

func (b Bell) arming(armed bool) func(context.Context) error {
	return func(ctx context.Context) error {
		var ours bool
		err := b.DB.QueryRow(ctx, armDoorbell, b.Group, armed, b.Term).Scan(&ours)
		if err == nil && !ours {
			return fmt.Errorf("doorbell: %w", jobs.ErrFenced)
		}
		return err
	}
}

// Doorbell wakes the consumers of a poll when producers say that there is something to read. What comes without a ring
// is found by the poll.
type Doorbell struct {
	bell         Bell
	subscription jobs.Subscription
	poll         *Poll
}

// NewDoorbell makes the doorbell of one leadership. Its Run closes the subscription, which is to Channel.
func NewDoorbell(bell Bell, subscription jobs.Subscription, poll *Poll) *Doorbell {
	return &Doorbell{bell, subscription, poll}
}

// Run alternates between waiting for rings and reading often, until the leadership ends.
func (d *Doorbell) Run(ctx context.Context, lead *loop.Leadership) error {
	defer d.subscription.Close()
	for ctx.Err() == nil {
		if err := d.bell.Arm(ctx, true); err != nil {
			return err
		}
		d.poll.SetMode(modeArmed)
		d.poll.ring()               // what came before it was armed did not ring
		loop.Signal(d.poll.restart) // nor did a producer who read the bell before that, and commits only now
		busy, err := d.sleep(ctx, lead)
		if err != nil || !busy {
			return err
		}
		if err := d.bell.Arm(ctx, false); err != nil {
			return err
		}
		d.poll.SetMode(modeBusy)
		if idle, err := d.pollWhileBusy(ctx, lead); err != nil || !idle {
			return err
		}
	}
	return nil
}

// sleep passes rings on. It returns true when they come so often that reading without them is cheaper.
func (d *Doorbell) sleep(ctx context.Context, lead *loop.Leadership) (busy bool, err error) {
	var (
		rings  int
		window time.Time
		renew  = time.NewTicker(renewEvery)
	)
	defer renew.Stop()
	for {
		select {
		case <-lead.Starting.Done():
			return false, nil
		case message, ok := <-d.subscription.Messages:
			if !ok {
				return false, d.unsubscribed(ctx)
			}
			if message == RetryMessage {
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
			if err := d.bell.Arm(ctx, true); err != nil {
				return false, err
			}
		}
	}
}

// unsubscribed is the end of the subscription: an error, unless the leadership ends.
func (d *Doorbell) unsubscribed(ctx context.Context) error {
	if ctx.Err() != nil {
		return nil
	}
	return errors.New("the event log's doorbell has no LISTEN session any more")
}

// pollWhileBusy wakes the consumers often, until they find nothing. Then it returns true, and false at the end of the
// leadership.
func (d *Doorbell) pollWhileBusy(ctx context.Context, lead *loop.Leadership) (idle bool, err error) {
	ticker := time.NewTicker(busyPoll)
	defer ticker.Stop()
	read, since := d.poll.rowsRead(), time.Now()
	for {
		select {
		case <-lead.Starting.Done():
			return false, nil
		case message, ok := <-d.subscription.Messages: // of producers that saw the bell armed
			if !ok {
				return false, d.unsubscribed(ctx)
			}
			if message == RetryMessage {
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
