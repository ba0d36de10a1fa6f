package election

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pgsolo/pgsolo/election/internal/trust"
)

// The parts of the lease that may pass, from the sending of the last ping that was answered, until the leader pings
// again, cancels what it runs, says that it is over, and ends its process. The server lets another leader in no sooner
// than after the whole.
const (
	pingAt   = 0.2
	cancelAt = 0.6
	overAt   = 0.85
	exitAt   = 0.9
)

func (e *Elector) part(f float64) time.Duration { return time.Duration(f * float64(e.options.Lease)) }

// leadership is one term of this process. Four goroutines meet in it: the one that calls lead, the one that pings, the
// one that compares the clocks, and the one of Run, which waits for all of them. The timers and Run's context act
// through it from goroutines of their own, at any time.
type leadership struct {
	*Elector
	session *session
	term    Term
	row     leaderRow
	trust   *trust.Window

	ctx      context.Context // lead's
	cancel   context.CancelCauseFunc
	stopping chan struct{}
	stopOnce sync.Once
	over     chan struct{}
	overOnce sync.Once
	exitOnce sync.Once
	returned atomic.Bool // lead has
	nudge    trust.Nudge // of the goroutine that pings
	limits   limits
	clocks   trust.Difference // of the goroutine that pings
	refused  time.Time        // when a ping last was; of the same goroutine
	pruned   bool             // the history has been, or cannot be; likewise

	mu          sync.Mutex // guards what follows
	lost        error      // the first reason
	unhealthy   error      // the latest answer of Options.Healthy
	steppedDown bool
}

// runTerm leads a term, until lead returns or the leadership is lost. again says that the election goes on for this
// process: it was only asked to hand over.
func (e *Elector) runTerm(
	ctx context.Context, won wonTerm, lead func(context.Context, Term) error,
) (again bool, err error) {
	defer e.options.Group.Release()
	// The leader's context outlives Run's: it ends when the leadership is lost, or when the drain is over.
	lasting := context.WithoutCancel(ctx)
	l := &leadership{
		Elector: e, session: won.session, row: won.row, term: won.row.term,
		stopping: make(chan struct{}), over: make(chan struct{}),
	}
	l.ctx, l.cancel = context.WithCancelCause(lasting)
	defer l.cancel(nil)
	defer l.end()
	l.trust = trust.NewWindow(e.clock, won.proved, e.part(cancelAt), e.part(clockTolerance), l.nudge.Give)
	l.term.Session = e.termSession(won.row.term.Number)
	l.term.ServerStart = won.session.server.Begun
	l.term.Stopping, l.term.Over = l.stopping, l.over
	l.term.Held = l.trust.Open
	defer context.AfterFunc(ctx, func() { l.stop(false) })()
	e.status.answered(Leader, won.row)
	l.limits = l.startLimits(won.proved)
	defer l.limits.stop()

	beating, stopHeartbeat := context.WithCancel(lasting)
	var heartbeat sync.WaitGroup
	heartbeat.Go(func() { l.heartbeat(beating) })
	heartbeat.Go(func() { l.compareClocks(beating) })
	won.announce()
	result := make(chan error, 1)
	go func() {
		err := lead(l.ctx, l.term)
		l.returned.Store(true)
		stopHeartbeat()
		result <- err
	}()
	err = <-result // a limit bounds this once the leadership is lost; before that, lead may take what it needs
	return l.conclude(&heartbeat, err)
}

// stop asks lead to hand over. It is true the first time.
func (l *leadership) stop(steppedDown bool) (first bool) {
	l.stopOnce.Do(func() {
		first = true
		l.mu.Lock()
		l.steppedDown = steppedDown
		l.mu.Unlock()
		close(l.stopping)
		drain := time.AfterFunc(l.options.Drain, func() { l.cancel(context.Canceled) })
		context.AfterFunc(l.ctx, func() { drain.Stop() }) // the end of the term cancels it
	})
	return first
}

// lose cancels what runs, for the first reason that is given. It says that the leadership is over before, unless the
// reason is silence: then nobody can lead for a while, and what runs may stop by itself. It may be called again, by the
// goroutine that pings: a session that was silent ends.
func (l *leadership) lose(reason error) {
	if !errors.Is(reason, errSilence) && !errors.Is(reason, errUnhealthy) {
		l.end()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost == nil {
		l.lost = reason
		l.trust.End()
		l.cancel(fmt.Errorf("%w: %w", ErrLost, reason))
		l.status.update(func(s *Status) { s.Role = Outside })
	}
}

// end says that another leader may be let in.
func (l *leadership) end() { l.overOnce.Do(func() { close(l.over) }) }

// endProcess calls Options.Unhealthy while lead still runs.
func (l *leadership) endProcess() {
	if l.returned.Load() {
		return
	}
	l.exitOnce.Do(func() {
		l.options.Unhealthy(fmt.Errorf("%w, and what it ran has not stopped within %s", ErrLost, l.part(exitAt)))
	})
}

func (l *leadership) outcome() (lost error, steppedDown bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost, l.steppedDown
}

// conclude gives the leadership back, once lead has returned.
func (l *leadership) conclude(heartbeat *sync.WaitGroup, err error) (again bool, _ error) {
	lost, steppedDown := l.outcome()
	if lost != nil {
		l.session.abort() // not before lead has returned: this may free the lock
		heartbeat.Wait()
		l.session.close()
		l.counters.lost(lost)
		lost = l.lastWord(lost)
		return false, fmt.Errorf("%w: %w", ErrLost, lost)
	}
	abort := time.AfterFunc(l.part(cancelAt), l.session.abort) // in case the last ping is never answered
	heartbeat.Wait()
	abort.Stop()
	l.status.update(func(s *Status) { s.Role = Outside })
	reason := endedResigned
	if steppedDown {
		reason = endedSteppedDown
	}
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	failure := l.session.resign(ctx, l.term, reason)
	l.session.close()
	if failure != nil {
		l.logger.Warn("not resigned, the lock is free when the server ends the session", "term", l.term.Number,
			"error", failure)
		_ = l.lastWord(failure)
	} else {
		l.logger.Info(reason, "term", l.term.Number)
	}
	return steppedDown && err == nil, err
}
