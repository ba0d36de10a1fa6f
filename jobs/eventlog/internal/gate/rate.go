package gate

import (
	"context"
	"time"

	"github.com/pgsolo/pgsolo/jobs"
)

const (
	// Timers are late by as much as a millisecond, and a busy machine by more. A start that is late by no more than
	// this does not delay the ones after it, or a rate of a thousand a second would never be reached.
	rateSlack = 5 * time.Millisecond

	// How many starts are remembered.
	rateMemory = 1024
)

// pacer spaces the starts of attempts evenly, and lets no more than Rate.Events begin in any Rate.Per. The usual token
// bucket promises only the average: a start that its timer delayed is followed by the next one too soon. So the time of
// each start is kept until as many have followed as may begin in its window.
//
// Workers take turns: the one that has put a token into turn owns the rest.
type pacer struct {
	every  time.Duration // between two starts
	window time.Duration // in which as many may begin as starts holds

	turn   chan struct{} // capacity 1
	slot   time.Time     // when the latest start was due
	starts []time.Time   // the latest, in a ring
	oldest int
}

func newPacer(r jobs.Rate) *pacer {
	per := r.Per
	if per == 0 {
		per = time.Second
	}
	parts := max(1, (r.Events+rateMemory-1)/rateMemory) // of the window, each with its part of the events
	return &pacer{
		every:  ceil(per, r.Events),
		window: ceil(per, parts),
		turn:   make(chan struct{}, 1),
		starts: make([]time.Time, r.Events/parts),
	}
}

func ceil(d time.Duration, n int) time.Duration {
	return (d + time.Duration(n) - 1) / time.Duration(n)
}

// pass waits for a start. It returns false, at once, when ctx is done before that.
func (p *pacer) pass(ctx context.Context) bool {
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	defer func() { <-p.turn }()
	slot := p.next()
	if wait := time.Until(slot); wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return false
		}
	}
	p.begin(slot)
	return true
}

// tryPass is pass without waiting.
func (p *pacer) tryPass() bool {
	select {
	case p.turn <- struct{}{}:
	default:
		return false
	}
	defer func() { <-p.turn }()
	slot := p.next()
	if time.Until(slot) > 0 {
		return false
	}
	p.begin(slot)
	return true
}

// next returns when the next start is due: now or in the past, where nothing is in its way.
func (p *pacer) next() time.Time {
	now, slot := time.Now(), p.slot.Add(p.every)
	if now.Sub(slot) > rateSlack {
		slot = now
	}
	if free := p.starts[p.oldest].Add(p.window); free.After(slot) {
		slot = free
	}
	return slot
}

func (p *pacer) begin(slot time.Time) {
	p.slot, p.starts[p.oldest] = slot, time.Now()
	p.oldest = (p.oldest + 1) % len(p.starts)
}
