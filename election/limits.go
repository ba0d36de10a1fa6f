package election

import (
	"context"
	"time"

	"github.com/pgsolo/pgsolo/election/internal/trust"
)

const (
	// clockTolerance is the part of the lease by which clocks may differ from one ping to the next.
	clockTolerance = 0.05

	// How often the clocks are compared: each 0.05 of the lease, within these bounds.
	minComparison = 50 * time.Millisecond
	maxComparison = 250 * time.Millisecond
)

// limits are the timers of a leadership. Each acts in a goroutine of its own, so that none waits for another.
type limits struct {
	lose *time.Timer // at 0.6 of the lease
	over *time.Timer // at 0.85
	exit *time.Timer // at 0.9
}

func (l *leadership) startLimits(sent trust.Moment) limits {
	elapsed := sent.Elapsed(l.clock.Now())
	return limits{
		lose: time.AfterFunc(l.part(cancelAt)-elapsed, func() { l.lose(l.silence()) }),
		over: time.AfterFunc(l.part(overAt)-elapsed, func() { l.lose(l.silence()); l.end() }),
		exit: time.AfterFunc(l.part(exitAt)-elapsed, l.endProcess),
	}
}

// move counts all from the sending of another ping.
func (l limits) move(e *Elector, sent trust.Moment) {
	elapsed := sent.Elapsed(e.clock.Now())
	l.lose.Reset(e.part(cancelAt) - elapsed)
	l.over.Reset(e.part(overAt) - elapsed)
	l.exit.Reset(e.part(exitAt) - elapsed)
}

func (l limits) stop() {
	l.lose.Stop()
	l.over.Stop()
	l.exit.Stop()
}

// compareClocks has a ping sent when the machine was suspended, or a clock was set, and moves the limits: the timers
// did not run meanwhile, the lease did.
func (l *leadership) compareClocks(ctx context.Context) {
	ticker := time.NewTicker(min(max(l.part(clockTolerance), minComparison), maxComparison))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		l.mu.Lock() // an extension is in force before its limits are, which waits for this lock
		if sent, suspicious := l.trust.Proved(); suspicious {
			l.nudge.Give()
			l.limits.move(l.Elector, sent)
		}
		l.mu.Unlock()
	}
}
