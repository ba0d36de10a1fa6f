package election

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	holdsLock = `exists (select from pg_locks
		where locktype = 'advisory' and classid = 'pgsolo.leader'::regclass and objid = l.lock_id and objsubid = 2
			and database = (select oid from pg_database where datname = current_database())
			and pid = pg_backend_pid() and granted)`

	ping = `select l.timeline, l.term, ` + holdsLock + `, l.step_down is not distinct from l.term
		from pgsolo.leader l where l.election = $1`

	setApplicationName = `select set_config('application_name', $1, false)`
)

// beat pings until ctx is done or the leadership is lost, and between pings keeps a read pending, so that the end of the session
// is seen at once. A ping has no deadline of its own: one would make pgx close the connection, and that could free the lock
// while the leader still stops.
func (r *reign) beat(ctx context.Context) {
	lasting := context.WithoutCancel(ctx)
	if _, err := r.session.conn.Exec(lasting, setApplicationName, r.term.Session); err != nil {
		r.lose(fmt.Errorf("%w: %w", errSession, err))
		return
	}
	for ctx.Err() == nil {
		if r.worthy() {
			if err := r.ping(lasting); err != nil {
				r.lose(err)
				return
			}
		}
		if err := r.session.park(ctx, r.part(pingAt)); err != nil {
			r.lose(err)
			return
		}
	}
}

// worthy asks Options.Healthy. Without progress there is no ping, and before long no leadership.
func (r *reign) worthy() bool {
	err := r.options.Healthy()
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil && r.sick == nil {
		r.logger.Warn("the leader makes no progress, and pings no more until it does", "error", err)
	}
	r.sick = err
	return err == nil
}

// silence is why no ping has been answered.
func (r *reign) silence() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sick != nil {
		return fmt.Errorf("%w: %w", errUnworthy, r.sick)
	}
	return fmt.Errorf("%w for %s", errSilence, r.part(cancelAt))
}

// ping proves the leadership, and extends it from the moment at which it was sent.
func (r *reign) ping(ctx context.Context) error {
	var (
		now      Term
		held     bool
		stepDown bool
	)
	sent := time.Now()
	err := r.session.conn.QueryRow(ctx, inSchema(ping, r.options.Schema), r.options.Name).
		Scan(&now.Timeline, &now.Number, &held, &stepDown)
	switch {
	case err != nil:
		return fmt.Errorf("%w: ping: %w", errSession, err)
	case !held:
		return errNoLock
	case now.Timeline != r.term.Timeline || now.Number != r.term.Number:
		return fmt.Errorf("%w: timeline %d, term %d", errNewTerm, now.Timeline, now.Number)
	}
	r.extend(sent)
	if stepDown {
		r.logger.Info("asked to step down", "term", r.term.Number)
		r.stop(true)
	}
	return nil
}

// extend moves every limit, unless one has been reached: whoever asked Term.Held may have acted upon it, even if the timer that
// belongs to it has not fired yet.
func (r *reign) extend(sent time.Time) {
	if !r.term.proof.valid() {
		r.lose(r.silence())
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lost != nil {
		return
	}
	r.term.proof.extend(sent.Add(r.part(cancelAt)))
	r.cutoff.Reset(time.Until(sent.Add(r.part(cancelAt))))
	r.watchdog.Reset(time.Until(sent.Add(r.part(exitAt))))
	r.counters.pinged(time.Since(sent))
	r.status.saw(Leader, r.row)
	r.status.busyFor(r.options.Lease)
}

// park reads for d, or until ctx is done. Nothing is due, so whatever ends the read early is the end of the session.
func (s *session) park(ctx context.Context, d time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	for {
		_, err := s.conn.WaitForNotification(ctx)
		if ctx.Err() != nil && !s.conn.IsClosed() {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errSession, err)
		}
	}
}

// The reasons to lose the leadership.
var (
	errSilence  = errors.New("no answer to a ping")
	errUnworthy = errors.New("no ping was sent: the leader makes no progress")
	errSession  = errors.New("the session ended")
	errNoLock   = errors.New("the session no longer holds the lock")
	errNewTerm  = errors.New("the leader row is of another term")
)
