package listener

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5/pgconn"
)

// Reconnects wait firstDelay, then twice as long each time up to maxDelay. The first is short because most lost
// sessions can be replaced at once; the last is what a recovered server waits for its listeners at most.
const (
	firstDelay = 50 * time.Millisecond
	maxDelay   = 2 * time.Second
)

// unhealthyWait is how long Run waits for Options.Unhealthy to return.
const unhealthyWait = time.Second

// Run connects, delivers, and reconnects whenever the session is lost, until ctx is done: then it returns nil. It
// returns an error, which wraps the last cause, when Patience is exhausted or the server refuses the user, the password
// or the database. When it returns, every subscription has ended and no goroutine or session of its own is left. A
// Listener runs once.
func (l *Listener) Run(ctx context.Context) error {
	if err := l.registry.start(); err != nil {
		return err
	}
	defer l.registry.end()
	var warned string // the permanent error that the log has
	for {
		session, err := l.openSession(ctx)
		if ctx.Err() != nil {
			if session != nil {
				session.close()
			}
			return nil
		}
		if err != nil && l.retries(err) {
			if message := err.Error(); permanent(err) && message != warned {
				l.logger.Warn("cannot connect, and whoever subscribes will find out", "error", err)
				warned = message
			}
			if !sleep(ctx, jitter(maxDelay)) {
				return nil
			}
			continue
		}
		if err != nil {
			l.unhealthy(err)
			return err
		}
		warned = ""
		err = l.serve(ctx, session)
		session.close()
		l.registry.disconnected()
		if ctx.Err() != nil {
			return nil
		}
		l.logger.Warn("session lost, will reconnect", "error", err)
		if !sleep(ctx, jitter(firstDelay)) { // even a session that is lost as soon as it is made causes no busy loop
			return nil
		}
	}
}

// unhealthy calls Options.Unhealthy, and waits no longer than unhealthyWait for it.
func (l *Listener) unhealthy(err error) {
	if l.options.Unhealthy == nil {
		return
	}
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		l.options.Unhealthy(err)
	}()
	select {
	case <-returned:
	case <-time.After(unhealthyWait):
	}
}

// outage ends with the patience for one.
type outage struct {
	context.Context
	cancel context.CancelFunc
}

func (l *Listener) outage(ctx context.Context) (o outage) {
	o.Context, o.cancel = context.WithTimeout(ctx, l.options.Patience)
	return o
}

// openSession tries until LISTEN is in force on every channel, nothing was answered for as long as Patience, the server
// refuses for good, or ctx is done.
func (l *Listener) openSession(ctx context.Context) (*session, error) {
	outage := l.outage(ctx)
	defer func() { outage.cancel() }()
	var cause error
	for delay := firstDelay; ; delay = min(2*delay, maxDelay) {
		session, err := l.connect(outage)
		if err == nil {
			return session, nil
		}
		if permanent(err) {
			return nil, fmt.Errorf("connect listener: %w", err)
		}
		if cause == nil && ctx.Err() == nil {
			level := hclog.Warn
			if l.registry.unused() {
				level = hclog.Debug
			}
			l.logger.Log(level, "cannot connect, will retry", "patience", l.options.Patience, "error", err)
		}
		if cause == nil || outage.Err() == nil { // the end of patience is not the reason for it
			cause = err
		}
		if _, answered := errors.AsType[*pgconn.PgError](err); answered { // as to too many connections
			outage.cancel()
			outage = l.outage(ctx)
		}
		if !sleep(outage, jitter(delay)) {
			return nil, fmt.Errorf("connect listener within %s: %w", l.options.Patience, cause)
		}
	}
}

// serve keeps LISTEN in line with the subscriptions and probes the session until it is lost or ctx is done.
func (l *Listener) serve(ctx context.Context, s *session) error {
	probeDue := time.NewTicker(l.options.ProbeInterval)
	defer probeDue.Stop()
	for {
		l.logEpisodes()
		if listen, unlisten, rename := l.registry.takeChanges(); len(listen)+len(unlisten) > 0 || rename {
			inForce, err := l.applyChanges(ctx, s, listen, unlisten, rename)
			if err != nil {
				return err
			}
			l.registry.established(inForce)
		}
		// A session that was not probed yet is probed at once, but after what has come together during its first
		// change.
		if s.listens && !s.probed && (len(l.registry.wake) == 0 || s.changes > maxUnprobed) {
			if err := l.probe(ctx, s); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.ended:
			return fmt.Errorf("wait for notification: %w", s.err)
		case <-l.registry.wake:
			l.coalesce()
		case <-probeDue.C:
			if l.registry.unused() { // no message can be missed
				continue
			}
			if err := l.probe(ctx, s); err != nil {
				return err
			}
		}
	}
}

// coalesce lets a burst of subscriptions come to its end, so that they share a LISTEN. A single one is kept for some
// microseconds.
func (l *Listener) coalesce() {
	const quiet, longest = 16, time.Millisecond
	began := time.Now()
	for last, same := l.registry.calls.Load(), 0; same < quiet && time.Since(began) < longest; same++ {
		runtime.Gosched()
		if calls := l.registry.calls.Load(); calls != last {
			last, same = calls, 0
		}
	}
}

// retries says whether to go on after a failure to connect: there is no subscription, or not for as long as Patience
// yet.
func (l *Listener) retries(err error) bool {
	d, used := l.registry.usedFor()
	return !used || !permanent(err) && d < l.options.Patience
}

// permanent tells an answer that no retry changes: a wrong password, a user that may not log in, a missing database, a
// pooler.
func permanent(err error) bool {
	if errors.Is(err, ErrPooler) {
		return true
	}
	refusal, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (refusal.Code == "28P01" || refusal.Code == "28000" || refusal.Code == "3D000")
}

// jitter spreads the reconnects of many processes over the second half of the delay.
func jitter(delay time.Duration) time.Duration {
	return delay/2 + rand.N(delay/2)
}

// sleep waits and says whether it did: false when ctx was done first.
func sleep(ctx context.Context, delay time.Duration) bool {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
