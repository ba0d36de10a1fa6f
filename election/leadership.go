package election

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// What part of the lease may pass, from the sending of the last ping that was answered, until the leader pings again, cancels
// what it runs, and ends its process. The server lets another in no sooner than after the whole.
const (
	pingAt   = 0.2
	cancelAt = 0.6
	exitAt   = 0.9
)

func (e *Elector) part(f float64) time.Duration { return time.Duration(f * float64(e.options.Lease)) }

// reign is one term of this process. Three goroutines meet in it: the one that calls lead, the one that pings, and the one of
// Run, which waits for both. The timers and Run's context act through it from goroutines of their own, at any time.
type reign struct {
	*Elector
	session *session
	term    Term
	row     leaderRow

	ctx      context.Context // lead's
	cancel   context.CancelCauseFunc
	stopping chan struct{}
	stopOnce sync.Once
	cutoff   *time.Timer // loses the leadership
	watchdog *time.Timer // ends the process
	returned atomic.Bool // lead has

	mu          sync.Mutex // guards what follows
	lost        error      // the first reason
	sick        error      // what Options.Healthy said last
	steppedDown bool
}

// reign leads a term, until lead returns or the leadership is lost. again says that the election goes on for this process: it
// was only asked to hand over.
func (e *Elector) reign(ctx context.Context, won victory, lead func(context.Context, Term) error) (again bool, err error) {
	defer e.options.Group.give()
	row, proved := won.row, won.proved
	// The leader's context outlives Run's: it ends when the leadership is lost, or when the drain is over.
	lasting := context.WithoutCancel(ctx)
	r := &reign{Elector: e, session: won.session, row: row, term: row.term, stopping: make(chan struct{})}
	r.ctx, r.cancel = context.WithCancelCause(lasting)
	defer r.cancel(nil)
	r.term.Session = e.sessionName(fmt.Sprintf("term %d", row.term.Number))
	r.term.Stopping = r.stopping
	r.term.proof = newProof()
	r.term.proof.extend(proved.Add(e.part(cancelAt)))
	defer context.AfterFunc(ctx, func() { r.stop(false) })()
	e.status.saw(Leader, row)
	r.cutoff = time.AfterFunc(time.Until(proved.Add(e.part(cancelAt))), func() {
		r.lose(r.silence())
	})
	defer r.cutoff.Stop()
	r.watchdog = time.AfterFunc(time.Until(proved.Add(e.part(exitAt))), r.end)
	defer r.watchdog.Stop()

	beating, stopBeating := context.WithCancel(lasting)
	var beat sync.WaitGroup
	beat.Go(func() { r.beat(beating) })
	result := make(chan error, 1)
	go func() {
		err := lead(r.ctx, r.term)
		r.returned.Store(true)
		stopBeating()
		result <- err
	}()
	err = <-result // once the leadership is lost the watchdog bounds this; before that, lead may take what it needs
	return r.conclude(&beat, err)
}

// stop asks lead to hand over.
func (r *reign) stop(steppedDown bool) {
	r.stopOnce.Do(func() {
		r.mu.Lock()
		r.steppedDown = steppedDown
		r.mu.Unlock()
		close(r.stopping)
		drain := time.AfterFunc(r.options.Drain, func() { r.cancel(context.Canceled) })
		context.AfterFunc(r.ctx, func() { drain.Stop() }) // the end of the reign cancels it
	})
}

// lose cancels what runs, for the first reason that is given.
func (r *reign) lose(reason error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lost == nil {
		r.lost = reason
		r.term.proof.end()
		r.cancel(fmt.Errorf("%w: %w", ErrLost, reason))
		r.status.update(func(st *Status) { st.Role = Outside })
	}
}

// end is the watchdog: it ends the process while lead still runs.
func (r *reign) end() {
	if !r.returned.Load() {
		r.options.Unhealthy(fmt.Errorf("%w, and what it ran has not stopped within %s", ErrLost, r.part(exitAt)))
	}
}

func (r *reign) fate() (lost error, steppedDown bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lost, r.steppedDown
}

// conclude gives the leadership back, once lead has returned.
func (r *reign) conclude(beat *sync.WaitGroup, err error) (again bool, _ error) {
	lost, steppedDown := r.fate()
	if lost != nil {
		r.session.hangUp() // not before lead has returned: this may free the lock
		beat.Wait()
		r.session.close()
		r.counters.lost(lost)
		return false, fmt.Errorf("%w: %w", ErrLost, lost)
	}
	hangUp := time.AfterFunc(r.part(cancelAt), r.session.hangUp) // in case the last ping never comes back
	beat.Wait()
	hangUp.Stop()
	r.status.update(func(st *Status) { st.Role = Outside })
	reason := endedResigned
	if steppedDown {
		reason = endedSteppedDown
	}
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	if failure := r.session.resign(ctx, r.term, reason); failure != nil {
		r.logger.Warn("not resigned, the lock is free when the server ends the session", "term", r.term.Number, "error", failure)
	} else {
		r.logger.Info(reason, "term", r.term.Number)
	}
	r.session.close()
	return steppedDown && err == nil, err
}
