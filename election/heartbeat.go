package election

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgsolo/pgsolo/election/internal/direct"
	"github.com/pgsolo/pgsolo/election/internal/trust"
)

const (
	holdsLock = `exists (select from pg_locks
		where locktype = 'advisory' and classid = 'pgsolo.leader'::regclass and objid = l.lock_id and objsubid = 2
			and database = (select oid from pg_database where datname = current_database())
			and pid = pg_backend_pid() and granted)`

	ping = `select c.oid::bigint, coalesce(l.lock_id, 0), coalesce(l.timeline, 0), coalesce(l.term, 0), ` +
		holdsLock + `, l.step_down is not distinct from l.term, clock_timestamp()
		from (select 'pgsolo.leader'::regclass::oid) c left join pgsolo.leader l on l.election = $1`

	// From now on a statement waits for nobody's lock for longer than a ping may take.
	setUpTerm = `select set_config('application_name', $1, false), set_config('lock_timeout', $2, false)`
)

// The reasons to lose the leadership.
var (
	errSilence   = errors.New("no answer to a ping")
	errUnhealthy = errors.New("no ping was sent: the leader makes no progress")
	errSession   = errors.New("the session ended")
	errNoLock    = errors.New("the session no longer holds the lock")
	errNewTerm   = errors.New("the leader row is of another term")
)

// heartbeat pings until ctx is done or the leadership is lost, and between pings keeps a read pending, so that the end
// of the session is seen at once. A ping has no deadline of its own: one would make pgx close the connection, and that
// could free the lock while the leader still stops.
func (l *leadership) heartbeat(ctx context.Context) {
	lasting := context.WithoutCancel(ctx)
	bound := milliseconds(l.part(pingAt))
	if _, err := l.session.conn.Exec(lasting, setUpTerm, l.term.Session, bound); err != nil {
		l.lose(fmt.Errorf("%w: %w", errSession, err))
		return
	}
	for ctx.Err() == nil {
		if l.mayPing() {
			if err := l.ping(lasting); err != nil {
				l.lose(err)
				return
			}
			l.prune(lasting)
		}
		waiting, stop := l.nudge.Wait(ctx)
		err := l.session.watch(waiting, l.part(pingAt))
		stop()
		if err != nil {
			l.lose(err)
			return
		}
	}
}

// mayPing asks Options.Healthy. Without progress there is no ping, and before long no leadership. A leadership that was
// lost is not pinged for either, for that would keep the session, and the lock, from a successor.
func (l *leadership) mayPing() bool {
	err := l.options.Healthy()
	l.mu.Lock()
	news := err != nil && l.unhealthy == nil
	l.unhealthy = err
	lost := l.lost != nil
	l.mu.Unlock()
	if news { // not under the lock: who cancels what runs takes it, too
		l.logger.Warn("the leader makes no progress, and pings no more until it does", "error", err)
	}
	return err == nil && !lost
}

// silence is why no ping has been answered.
func (l *leadership) silence() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.unhealthy != nil {
		return fmt.Errorf("%w: %w", errUnhealthy, l.unhealthy)
	}
	return fmt.Errorf("%w for %s", errSilence, l.part(cancelAt))
}

// ping proves the leadership, and extends it from the moment at which it was sent.
func (l *leadership) ping(ctx context.Context) error {
	var (
		class    int64
		lockID   int32 // 0: there is no row
		now      Term
		held     bool
		stepDown bool
		server   time.Time
	)
	sent := l.clock.Now()
	err := l.session.conn.QueryRow(ctx, inSchema(ping, l.options.Schema), l.options.Name).
		Scan(&class, &lockID, &now.Timeline, &now.Number, &held, &stepDown, &server)
	if err == nil {
		err = l.session.sameLock(class, lockID)
	}
	switch {
	case isAnswer(err) && !l.session.conn.IsClosed():
		return l.pingLock(ctx, err)
	case ofTables(err):
		return fmt.Errorf("the tables cannot be used: ping: %w", err)
	case err != nil:
		return fmt.Errorf("%w: ping: %w", errSession, err)
	case !held:
		return errNoLock
	case now.Timeline != l.term.Timeline || now.Number != l.term.Number:
		return fmt.Errorf("%w: timeline %d, term %d", errNewTerm, now.Timeline, now.Number)
	}
	roundTrip := l.clock.Mono() - sent.Mono
	l.extend(sent)
	ahead := trust.Ahead(server, sent, roundTrip)
	l.status.update(func(s *Status) { s.ClockAhead = ahead })
	l.clocks.Log(l.logger, ahead)
	if stepDown && l.stop(true) {
		l.logger.Info("asked to step down", "term", l.term.Number)
	}
	return nil
}

// pingLock proves the leadership by the lock alone, where the server refuses to read the leader row: somebody has
// locked or cancelled that, or the role may not. While this session holds the lock, no other one begins a term.
func (l *leadership) pingLock(ctx context.Context, answer error) error {
	if time.Since(l.refused) > time.Minute {
		l.logger.Warn("the leader row cannot be read, and the lock alone proves the leadership", "error",
			explain(ctx, l.session.conn, l.options.Schema, answer))
	}
	l.refused = time.Now()
	sent := l.clock.Now()
	held, err := direct.Holds(ctx, l.session.conn, l.session.classID, l.session.lockID)
	switch {
	case codeOf(err) != "" && !l.session.conn.IsClosed():
		return nil // the next one may be answered
	case err != nil:
		return fmt.Errorf("%w: ping: %w", errSession, err)
	case !held:
		return errNoLock
	}
	l.extend(sent)
	return nil
}

// extend moves every limit, unless one has been reached: a caller of Term.Held may have acted upon it, even if the
// timer that belongs to it has not fired yet. A ping that was sent before the machine was suspended proves nothing of
// the time since, and is followed by another.
func (l *leadership) extend(sent trust.Moment) {
	roundTrip := l.clock.Mono() - sent.Mono
	if !l.trust.Extend(sent) {
		l.lose(l.silence())
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost != nil {
		return
	}
	l.limits.move(l.Elector, sent)
	l.counters.pinged(roundTrip)
	l.status.answered(Leader, l.row)
	l.status.busyFor(l.options.Lease)
}

// watch reads for d, or until ctx is done. No message is due, so what ends the read early is the end of the session.
func (s *session) watch(ctx context.Context, d time.Duration) error {
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
