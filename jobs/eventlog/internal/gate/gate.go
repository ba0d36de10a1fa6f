// Package gate is what an attempt has to pass before it begins: the rate limit and the breaker of its handler. It does
// no input or output, and is made for one term.
//
// No more than Rate.Events attempts begin in any Rate.Per. While the breaker is open, none begins; after its pause one
// does, the trial, and the rest wait for its outcome. An attempt that began before the breaker changed counts for
// nothing. A wait ends with its context.
package gate

import (
	"context"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/jobs"
)

// Gate is what an attempt has to pass before it begins. Nil is an open one, for handlers with neither a rate nor a
// breaker.
type Gate struct {
	breaker *breaker // nil: none
	pacer   *pacer   // nil: none
}

// New returns nil where neither the rate nor the breaker bounds anything.
func New(rate jobs.Rate, b jobs.Breaker, logger hclog.Logger, counts *Counts) *Gate {
	if rate.Events == 0 && b.Failures == 0 {
		return nil
	}
	g := new(Gate)
	if rate.Events > 0 {
		g.pacer = newPacer(rate)
	}
	if b.Failures > 0 {
		g.breaker = newBreaker(b, logger, counts)
	}
	return g
}

// Counts outlive the gate, which is made for each term.
type Counts struct {
	Open   atomic.Bool  // the breaker is
	Opened atomic.Int64 // how often it has
}

// Pass waits until an attempt may begin, and returns the period of the breaker that it begins in, from 1 on. It returns
// false when none may begin any more: ctx is done.
func (g *Gate) Pass(ctx context.Context) (period int, ok bool) {
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
		if !g.pacer.pass(ctx) {
			return 0, false
		}
		if g.breaker == nil || g.breaker.is(period) { // it may have opened meanwhile
			return period, true
		}
	}
}

// TryPass says whether an attempt may begin at this moment, other than the breaker's trial.
func (g *Gate) TryPass() (period int, ok bool) {
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

// Report takes in the outcome of an attempt that has passed. One that was stopped needs none: nothing begins after it.
func (g *Gate) Report(period int, err error) {
	if g != nil && g.breaker != nil {
		g.breaker.report(period, err)
	}
}
