package loop

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// stuckAfter is how long a loop may go without a sign of life before it counts as stuck. Each loop wakes at least every
// ten seconds, and a try at the database takes at most pg.TryTimeout.
const stuckAfter = 20 * time.Second

// Pulse is the sign of life of one loop. The functions of handlers and cron jobs run beside the loops, so that a long
// one does not hold up the sign. The zero value is of a loop that does not run. Any goroutine may call Check.
type Pulse struct{ last atomic.Int64 } // of sinceEpoch; 0: the loop does not run

// epoch has a monotonic reading, from which the signs count: a step of the wall clock is no silence.
var epoch = time.Now()

// sinceEpoch is in nanoseconds, and never 0.
func sinceEpoch() int64 { return max(1, int64(time.Since(epoch))) }

// Mark marks that the loop runs and has moved now.
func (p *Pulse) Mark() { p.last.Store(sinceEpoch()) }

// End marks that the loop does not run any more.
func (p *Pulse) End() { p.last.Store(0) }

// Last returns when the loop has moved last, or the zero time if it does not run.
func (p *Pulse) Last() time.Time {
	if at := p.last.Load(); at != 0 {
		return epoch.Add(time.Duration(at))
	}
	return time.Time{}
}

// Check returns an error that names the loop, what, if it runs and has not moved for 20 seconds.
func (p *Pulse) Check(what string) error {
	at := p.last.Load()
	if silent := time.Duration(sinceEpoch() - at); at != 0 && silent > stuckAfter {
		return fmt.Errorf("%s has not moved for %s", what, silent.Round(time.Second))
	}
	return nil
}

// During returns do with a sign of life at each call, for a step at the database that is tried again and again. There
// is none once the loop has ended, or if it ends at that moment: the step may run beside it.
func (p *Pulse) During(do func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		if at := p.last.Load(); at != 0 {
			p.last.CompareAndSwap(at, sinceEpoch())
		}
		return do(ctx)
	}
}
