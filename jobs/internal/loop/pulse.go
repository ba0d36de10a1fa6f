package loop

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// stuckAfter is how long a loop may go without a sign before it counts as stuck. Each of them wakes at least every ten seconds,
// and a try at the database takes at most persistTry.
const stuckAfter = 20 * time.Second

// Pulse is the sign of life of one loop. The functions of handlers and cron jobs run beside the loops: a long one is no reason
// to miss a beat.
type Pulse struct{ At atomic.Int64 } // of sinceEpoch; 0: the loop does not run

// epoch has a monotonic reading, from which beats count: a step of the wall clock is no silence.
var epoch = time.Now()

// sinceEpoch is in nanoseconds, and never 0.
func sinceEpoch() int64 { return max(1, int64(time.Since(epoch))) }

func (p *Pulse) Beat() { p.At.Store(sinceEpoch()) }

func (p *Pulse) End() { p.At.Store(0) }

func (p *Pulse) Check(what string) error {
	at := p.At.Load()
	if silent := time.Duration(sinceEpoch() - at); at != 0 && silent > stuckAfter {
		return fmt.Errorf("%s has not moved for %s", what, silent.Round(time.Second))
	}
	return nil
}

// During makes each try of a step at the database a sign of life, unless the loop has ended, or ends at this moment: the step may
// run beside it.
func (p *Pulse) During(do func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		if at := p.At.Load(); at != 0 {
			p.At.CompareAndSwap(at, sinceEpoch())
		}
		return do(ctx)
	}
}
