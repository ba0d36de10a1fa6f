package jobs

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// stuckAfter is how long a loop may go without a sign before it counts as stuck. Each of them wakes at least every ten seconds,
// and a try at the database takes at most persistTry.
const stuckAfter = 20 * time.Second

// pulse is the sign of life of one loop. The functions of handlers and cron jobs run beside the loops: a long one is no reason
// to miss a beat.
type pulse struct{ at atomic.Int64 } // Unix time in nanoseconds; 0: the loop does not run

func (p *pulse) beat() { p.at.Store(time.Now().UnixNano()) }

func (p *pulse) end() { p.at.Store(0) }

func (p *pulse) check(what string) error {
	at := p.at.Load()
	if silent := time.Since(time.Unix(0, at)); at != 0 && silent > stuckAfter {
		return fmt.Errorf("%s has not moved for %s", what, silent.Round(time.Second))
	}
	return nil
}

// Healthy says whether every loop of the runner has moved lately, while Run runs. A leader that it names should give up.
func (r *Runner) Healthy() error {
	for _, c := range r.consumers {
		if err := c.pulse.check(fmt.Sprintf("the loop of handler %q", c.Name)); err != nil {
			return err
		}
	}
	if err := r.poll.pulse.check("the poll of the event log"); err != nil {
		return err
	}
	return r.cron.pulse.check("the loop of the cron jobs")
}

// during makes each try of a step at the database a sign of life, unless the loop has ended, or ends at this moment: the step may
// run beside it.
func (p *pulse) during(do func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		if at := p.at.Load(); at != 0 {
			p.at.CompareAndSwap(at, time.Now().UnixNano())
		}
		return do(ctx)
	}
}

func (c *consumer) persist(ctx context.Context, what string, do func(context.Context) error) error {
	return persist(ctx, c.logger, what, c.pulse.during(do))
}
