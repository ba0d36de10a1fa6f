package gate

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/text"
)

// breaker is the state of one handler's Breaker in one term. It is closed, and counts failures in a row; or open, and
// lets nothing begin until its pause is over; then it lets one attempt begin, the trial, and the rest wait for its
// outcome.
type breaker struct {
	jobs.Breaker
	logger hclog.Logger
	counts *Counts

	mu       sync.Mutex // guards all below
	period   int        // the number of the state: an attempt that began in an earlier one says nothing of this one
	failures int        // in a row, while closed
	open     bool
	opened   time.Time
	pause    time.Duration // while open
	until    time.Time     // while open
	trying   bool          // the trial is under way
	changed  chan struct{} // closed with the period
}

func newBreaker(b jobs.Breaker, logger hclog.Logger, counts *Counts) *breaker {
	return &breaker{Breaker: b, logger: logger, counts: counts, period: 1, changed: make(chan struct{})}
}

// pass waits until an attempt may begin, and returns the period that it belongs to. It returns false, at once, when ctx
// is done before that. A worker that it lets through reports what came of it, or the leadership ends.
func (b *breaker) pass(ctx context.Context) (period int, ok bool) {
	for ctx.Err() == nil {
		b.mu.Lock()
		if !b.open {
			defer b.mu.Unlock()
			return b.period, true
		}
		wait := time.Until(b.until)
		if !b.trying && wait <= 0 {
			defer b.mu.Unlock()
			b.trying = true
			return b.period, true
		}
		changed := b.changed
		b.mu.Unlock()

		timer := time.NewTimer(max(0, wait))
		paused := timer.C
		if wait <= 0 { // the trial decides
			paused = nil
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-paused:
		}
		timer.Stop()
	}
	return 0, false
}

// tryPass is pass without waiting. It never begins the trial.
func (b *breaker) tryPass() (period int, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.period, !b.open
}

// is says whether the period still lasts.
func (b *breaker) is(period int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.period == period
}

// report takes in the outcome of an attempt. An error that the handler calls final is an answer of its target.
func (b *breaker) report(period int, err error) {
	_, _, final := jobs.Asked(err)
	switch pause, paused := b.settle(period, err != nil && !final); {
	case pause > 0:
		b.logger.Warn("handler paused: its attempts fail one after the other",
			"failures", b.Failures, "pause", pause, "error", text.Error(err))
	case paused > 0:
		b.logger.Info("handler goes on", "paused_for", paused)
	}
}

// settle changes the state. It returns the pause that begins when it opens, and how long it was open when it closes.
func (b *breaker) settle(period int, failed bool) (pause, paused time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case period != b.period:
	case failed && b.open:
		b.begin(b.pauseAfter(b.pause))
	case failed:
		if b.failures++; b.failures >= b.Failures {
			b.open, b.opened = true, time.Now()
			b.counts.Open.Store(true)
			b.counts.Opened.Add(1)
			b.begin(b.Pause)
			return b.pause, 0
		}
	case b.open:
		b.open = false
		b.counts.Open.Store(false)
		b.begin(0)
		return 0, max(1, time.Since(b.opened))
	default:
		b.failures = 0
	}
	return 0, 0
}

func (b *breaker) pauseAfter(pause time.Duration) time.Duration {
	return max(b.Pause, min(2*pause, b.MaxPause))
}

// begin begins a period.
func (b *breaker) begin(pause time.Duration) {
	b.period++
	b.failures, b.pause, b.until, b.trying = 0, pause, time.Now().Add(pause), false
	close(b.changed)
	b.changed = make(chan struct{})
}
