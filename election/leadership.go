package election

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// The parts of the lease that may pass, from the sending of the last ping that was answered, until the leader pings
// again, cancels what it runs, and ends its process. The server lets another leader in no sooner than after the whole.
const (
	pingAt   = 0.2
	cancelAt = 0.6
	exitAt   = 0.9
)

func (e *Elector) part(f float64) time.Duration { return time.Duration(f * float64(e.options.Lease)) }

// leadership is one term of this process. Three goroutines meet in it: the one that calls lead, the one that pings, and
// the one of Run, which waits for both. The timers and Run's context act through it from goroutines of their own, at
// any time.
type leadership struct {
	*Elector
	session *session
	term    Term
	row     leaderRow
	trust   *trustWindow

	ctx       context.Context // lead's
	cancel    context.CancelCauseFunc
	stopping  chan struct{}
	stopOnce  sync.Once
	loseTimer *time.Timer // loses the leadership
	exitTimer *time.Timer // ends the process
	returned  atomic.Bool // lead has

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
	defer e.options.Group.release()
	row, proved := won.row, won.proved
	// The leader's context outlives Run's: it ends when the leadership is lost, or when the drain is over.
	lasting := context.WithoutCancel(ctx)
	l := &leadership{
		Elector: e, session: won.session, row: row, term: row.term, trust: newTrustWindow(),
		stopping: make(chan struct{}),
	}
	l.ctx, l.cancel = context.WithCancelCause(lasting)
	defer l.cancel(nil)
	l.term.Session = e.sessionName(fmt.Sprintf("term %d", row.term.Number))
	l.term.Stopping = l.stopping
	l.term.Held = l.trust.open
	l.trust.extend(proved.Add(e.part(cancelAt)))
	defer context.AfterFunc(ctx, func() { l.stop(false) })()
	e.status.answered(Leader, row)
	l.loseTimer = time.AfterFunc(time.Until(proved.Add(e.part(cancelAt))), func() {
		l.lose(l.silence())
	})
	defer l.loseTimer.Stop()
	l.exitTimer = time.AfterFunc(time.Until(proved.Add(e.part(exitAt))), l.endProcess)
	defer l.exitTimer.Stop()

	beating, stopHeartbeat := context.WithCancel(lasting)
	var heartbeat sync.WaitGroup
	heartbeat.Go(func() { l.heartbeat(beating) })
	won.announce()
	result := make(chan error, 1)
	go func() {
		err := lead(l.ctx, l.term)
		l.returned.Store(true)
		stopHeartbeat()
		result <- err
	}()
	err = <-result // exitTimer bounds this once the leadership is lost; before that, lead may take what it needs
	return l.conclude(&heartbeat, err)
}

// stop asks lead to hand over.
func (l *leadership) stop(steppedDown bool) {
	l.stopOnce.Do(func() {
		l.mu.Lock()
		l.steppedDown = steppedDown
		l.mu.Unlock()
		close(l.stopping)
		drain := time.AfterFunc(l.options.Drain, func() { l.cancel(context.Canceled) })
		context.AfterFunc(l.ctx, func() { drain.Stop() }) // the end of the term cancels it
	})
}

// lose cancels what runs, for the first reason that is given.
func (l *leadership) lose(reason error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost == nil {
		l.lost = reason
		l.trust.end()
		l.cancel(fmt.Errorf("%w: %w", ErrLost, reason))
		l.status.update(func(s *Status) { s.Role = Outside })
	}
}

// endProcess calls Options.Unhealthy while lead still runs.
func (l *leadership) endProcess() {
	if !l.returned.Load() {
		l.options.Unhealthy(fmt.Errorf("%w, and what it ran has not stopped within %s", ErrLost, l.part(exitAt)))
	}
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
	} else {
		l.logger.Info(reason, "term", l.term.Number)
	}
	return steppedDown && err == nil, err
}
