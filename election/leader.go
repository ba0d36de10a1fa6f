package election

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// What part of the lease may pass, from the sending of the last ping that was answered, until the leader pings again, cancels
// what it runs, and ends its process. The server lets another in no sooner than after the whole.
const (
	pingAt   = 0.2
	cancelAt = 0.6
	exitAt   = 0.9
)

func (e *Elector) part(f float64) time.Duration { return time.Duration(f * float64(e.options.Lease)) }

// reign leads a term, until lead returns or the leadership is lost. proved is the time from which the lease counts at first.
func (e *Elector) reign(ctx context.Context, s *session, row leaderRow, proved time.Time, lead func(context.Context, Term) error) error {
	stopping := make(chan struct{})
	term := row.term
	term.Stopping = stopping

	// The leader's context outlives Run's: it ends when the leadership is lost, or when the drain is over.
	leadCtx, cancelLead := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancelLead(nil)
	defer context.AfterFunc(ctx, func() {
		close(stopping)
		time.AfterFunc(e.options.Drain, func() { cancelLead(context.Canceled) })
	})()

	lost := &loss{cancel: func(reason error) {
		cancelLead(reason)
		e.status.update(func(st *Status) { st.Role = Outside })
	}}
	cutoff := time.AfterFunc(time.Until(proved.Add(e.part(cancelAt))), func() {
		lost.because(fmt.Errorf("no answer to a ping for %s", e.part(cancelAt)))
	})
	defer cutoff.Stop()
	var returned atomic.Bool
	watchdog := time.AfterFunc(time.Until(proved.Add(e.part(exitAt))), func() {
		if !returned.Load() {
			e.options.Unhealthy(fmt.Errorf("%w, and what it ran has not stopped within %s", ErrLost, e.part(exitAt)))
		}
	})
	defer watchdog.Stop()

	e.status.saw(Leader, row)
	e.logger.Info("leading", "term", term.Number, "timeline", term.Timeline)

	result := make(chan error, 1)
	beatCtx, stopBeat := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		err := lead(leadCtx, term)
		returned.Store(true)
		stopBeat()
		result <- err
	}()
	var beating sync.WaitGroup
	beating.Go(func() {
		err := s.beat(beatCtx, term, e.part(pingAt), func(sent time.Time) {
			cutoff.Reset(time.Until(sent.Add(e.part(cancelAt))))
			watchdog.Reset(time.Until(sent.Add(e.part(exitAt))))
			e.status.busyFor(e.options.Lease)
			if lost.reason() == nil {
				e.status.saw(Leader, row)
			}
		})
		if err != nil {
			lost.because(err)
		}
	})

	err := <-result // once the leadership is lost the watchdog bounds this; before that, lead may take what it needs
	if reason := lost.reason(); reason != nil {
		s.hangUp() // not before lead has returned: this may free the lock
		beating.Wait()
		s.close()
		return fmt.Errorf("%w: %w", ErrLost, reason)
	}
	e.resign(s, term, &beating)
	return err
}

// resign hands over: it writes down that the term ended cleanly, frees the lock and ends the session, all in bounded time.
func (e *Elector) resign(s *session, term Term, beating *sync.WaitGroup) {
	hangUp := time.AfterFunc(e.part(cancelAt), s.hangUp) // in case the last ping never comes back
	beating.Wait()
	hangUp.Stop()
	e.status.update(func(st *Status) { st.Role = Outside })
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	if err := s.resign(ctx, term); err != nil {
		e.logger.Warn("not resigned, the lock is free when the server ends the session", "term", term.Number, "error", err)
	} else {
		e.logger.Info("resigned", "term", term.Number)
	}
	s.close()
}

// loss remembers the first reason for which the leadership was lost, and cancels the leader's context with it.
type loss struct {
	cancel context.CancelCauseFunc // called once
	mu     sync.Mutex              // guards err
	err    error
}

func (l *loss) because(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = err
		l.cancel(fmt.Errorf("%w: %w", ErrLost, err))
	}
}

func (l *loss) reason() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

const (
	holdsLock = `exists (select from pg_locks
		where locktype = 'advisory' and classid = 'pgsolo.leader'::regclass and objid = l.lock_id and objsubid = 2
			and database = (select oid from pg_database where datname = current_database())
			and pid = pg_backend_pid() and granted)`

	// The timeline is in the first eight digits of the current segment's name.
	promote = `update pgsolo.leader l
		set term = l.term + 1, holder = $2, address = $3, since = clock_timestamp(), clean = false,
			timeline = ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::integer
		where election = $1 and ` + holdsLock + `
		returning timeline, term, since`

	ping = `select l.timeline, l.term, ` + holdsLock + ` from pgsolo.leader l where l.election = $1`

	resign = `update pgsolo.leader set clean = true where election = $1 and timeline = $2 and term = $3`

	unlock = `select pg_advisory_unlock($1, $2)`

	setApplicationName = `select set_config('application_name', $1, false)`
)

// promote begins a term, provided that the lock is really this session's.
func (s *session) promote(ctx context.Context, o Options) (leaderRow, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	row := leaderRow{holder: o.Holder, address: o.Address}
	err := s.conn.QueryRow(ctx, inSchema(promote, s.schema), s.election, o.Holder, o.Address).
		Scan(&row.term.Timeline, &row.term.Number, &row.since)
	if errors.Is(err, pgx.ErrNoRows) {
		return row, &refusal{errors.New("won the lock, but this session does not hold it: there is a pooler in between; connect directly")}
	}
	if err != nil {
		return row, fmt.Errorf("begin a term: %w", err)
	}
	return row, nil
}

// beat pings every interval, and between pings keeps a read pending, so that the end of the session is seen at once. It
// returns nil when ctx is done and an error when the leadership cannot be proved. A ping has no deadline of its own: one would
// make pgx close the connection, and that could free the lock while the leader still stops.
func (s *session) beat(ctx context.Context, term Term, interval time.Duration, good func(sent time.Time)) error {
	name := fmt.Sprintf("pgsolo %s term %d", s.election, term.Number)
	if _, err := s.conn.Exec(context.WithoutCancel(ctx), setApplicationName, name); err != nil {
		return fmt.Errorf("name the session: %w", err)
	}
	for {
		sent := time.Now()
		if err := s.ping(context.WithoutCancel(ctx), term); err != nil {
			return err
		}
		good(sent)
		if err := s.park(ctx, interval); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
	}
}

func (s *session) ping(ctx context.Context, term Term) error {
	var (
		now  Term
		held bool
	)
	err := s.conn.QueryRow(ctx, inSchema(ping, s.schema), s.election).Scan(&now.Timeline, &now.Number, &held)
	switch {
	case err != nil:
		return fmt.Errorf("ping: %w", err)
	case !held:
		return errors.New("ping: this session no longer holds the lock")
	case now.Timeline != term.Timeline || now.Number != term.Number:
		return fmt.Errorf("ping: the leader row is at timeline %d, term %d", now.Timeline, now.Number)
	}
	return nil
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
		if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
			return fmt.Errorf("the server ended the session: %w", pgErr)
		}
		if err != nil {
			return fmt.Errorf("the session ended: %w", err)
		}
	}
}

func (s *session) resign(ctx context.Context, term Term) error {
	if _, err := s.conn.Exec(ctx, inSchema(resign, s.schema), s.election, term.Timeline, term.Number); err != nil {
		return fmt.Errorf("write the end of the term: %w", err)
	}
	// Only now: the successor must find the end of the term when it gets the lock.
	if _, err := s.conn.Exec(ctx, unlock, s.classID, s.lockID); err != nil {
		return fmt.Errorf("free the lock: %w", err)
	}
	return nil
}

// hangUp breaks the connection under whoever uses it.
func (s *session) hangUp() { _ = s.conn.PgConn().Conn().Close() }
