package jobs

import (
	"context"

	"github.com/hashicorp/go-hclog"
)

// gate is what an attempt has to pass before it begins. Nil is an open one, for handlers with neither a rate nor a breaker.
type gate struct {
	breaker *breaker // nil: none
	pacer   *pacer   // nil: none
}

func newGate(h *Handler, logger hclog.Logger, counters *handlerCounters) *gate {
	if h.Rate.Events == 0 && h.Breaker.Failures == 0 {
		return nil
	}
	g := new(gate)
	if h.Rate.Events > 0 {
		g.pacer = newPacer(h.Rate)
	}
	if h.Breaker.Failures > 0 {
		g.breaker = newBreaker(h.Breaker, logger, counters)
	}
	return g
}

// pass waits until an attempt may begin, and returns the period of the breaker that it begins in, from 1 on. It returns false when none
// may begin any more: ctx is done.
func (g *gate) pass(ctx context.Context) (period int, ok bool) {
	if g == nil {
		return 0, true
	}
	for {
		if g.breaker != nil {
			if period, ok = g.breaker.pass(ctx); !ok {
				return 0, false
			}
		}
		if g.pacer == nil {
			return period, true
		}
		if !g.pacer.pass(ctx, nil) {
			return 0, false
		}
		if g.breaker == nil || g.breaker.is(period) { // it may have opened meanwhile
			return period, true
		}
	}
}

// tryPass says whether an attempt may begin at this moment, other than the breaker's trial.
func (g *gate) tryPass() (period int, ok bool) {
	if g == nil {
		return 0, true
	}
	if g.breaker != nil {
		if period, ok = g.breaker.tryPass(); !ok {
			return 0, false
		}
	}
	return period, g.pacer == nil || g.pacer.tryPass()
}

// report takes in the outcome of an attempt that has passed. One that was stopped needs none: nothing begins after it.
func (g *gate) report(period int, err error) {
	if g != nil && g.breaker != nil {
		g.breaker.report(period, err)
	}
}
