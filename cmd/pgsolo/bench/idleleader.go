package bench

import (
	"context"
	"fmt"
	"time"
)

// measureIdleLeader counts what the whole program does as the leader while nothing happens. Sessions of its start that
// have had nothing to do since are counted by the server up to ten seconds late, so it is left alone for longer than
// that, unless in a hurry.
func (r *run) measureIdleLeader(ctx context.Context) error {
	const figure = "idle_leader_transactions"
	r.progress.step(figure, 1, 1)
	leader, err := r.noReplicas()
	if err != nil {
		return err
	}
	defer leader.close()
	if err := leader.join(); err != nil {
		return fmt.Errorf("%s: %w", figure, err)
	}
	if _, err := leader.firstEvent(ctx, 0); err != nil { // it leads, and all that it needs is there
		return fmt.Errorf("%s: %w", figure, err)
	}
	if err := elapse(ctx, r.sizes.settling); err != nil {
		return err
	}
	first, err := r.awaitLeap(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", figure, leader.withOutput(err))
	}
	if err := elapse(ctx, r.sizes.watch); err != nil {
		return err
	}
	last, err := r.awaitLeap(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", figure, leader.withOutput(err))
	}
	rate := float64(last.transactions-first.transactions) / last.at.Sub(first.at).Seconds()
	return r.report(newFigure(figure, "1/s", []float64{rate}, nil, atMost("max", 5)))
}

// elapse returns after that time.
func elapse(ctx context.Context, duration time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(duration):
		return nil
	}
}
