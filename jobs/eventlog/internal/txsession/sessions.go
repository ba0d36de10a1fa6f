package txsession

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

const (
	// turnTime is how long a handler that has more to do keeps a session for which others wait: some twenty times as
	// long as it takes to clean it.
	turnTime = 10 * time.Millisecond

	// idleTime is how long a session waits for its handler.
	idleTime = time.Second
)

// Session is one of the pool's, with a handler or idle.
type Session struct {
	*pgx.Conn
	pooled *pgxpool.Conn
	share  *Share    // of the runner whose handler has it; nil: nobody has
	name   string    // application_name
	owner  any       // the handler whose leavings may be in it
	since  time.Time // its turn began
	idle   time.Time // since when
	kept   bool      // idle, and its handler has more to do
}

// Sessions are those of the runners that share a pool.
type Sessions struct {
	pool   *pgxpool.Pool
	config *pgxpool.Config // the pool's
	most   int
	keeps  bool // the pool has others for pgsolo's own statements meanwhile

	mu      sync.Mutex  // guards all below, and what the shares count
	shares  []*Share    // of those that run
	open    int         // with handlers, idle, being opened or cleaned
	idle    []*Session  // from the one that is idle the longest
	waiting []*waiter   // from the first
	wakes   *time.Timer // when the turn of an idle session is over for which others wait
}

// waiter waits for a session.
type waiter struct {
	share *Share
	owner any
	lent  chan *Session // capacity 1; nil: one may be opened
}

// New makes none yet, and so many at most.
func New(pool *pgxpool.Pool, most int) *Sessions {
	config := pool.Config()
	return &Sessions{pool: pool, config: config, most: most, keeps: most < int(config.MaxConns)}
}

// Take lends a handler a session: one of its own, a new one, one of another handler after cleaning, or else what is
// given back next.
func (r *Share) Take(ctx context.Context, owner any) (*Session, error) {
	s := r.of
	session, err := s.wait(ctx, r, owner)
	switch {
	case err != nil:
		return nil, err
	case session == nil:
		if session, err = s.connect(ctx); err != nil {
			s.forget(r)
			return nil, err
		}
		session.share = r
	case session.owner == owner:
		return session, nil
	default:
		if err := s.renew(ctx, session, s.config.PrepareConn); err != nil {
			return nil, err
		}
	}
	session.owner, session.since = owner, time.Now()
	session.name = session.PgConn().ParameterStatus(nameParameter)
	return session, nil
}

func (s *Sessions) connect(ctx context.Context) (*Session, error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("acquire connection: %w", err)
	}
	return &Session{Conn: conn.Conn(), pooled: conn}, nil
}

// renew cleans a session, and prepares it for who takes it (nil: nobody does), or closes it.
func (s *Sessions) renew(
	ctx context.Context, session *Session, prepare func(context.Context, *pgx.Conn) (bool, error),
) error {
	ctx, cancel := context.WithTimeout(ctx, pg.TryTimeout)
	defer cancel()
	err := pg.Renew(ctx, session.Conn, s.config)
	if err == nil && prepare != nil {
		var ok bool
		if ok, err = prepare(ctx, session.Conn); !ok && err == nil {
			err = errRefused
		}
	}
	if err != nil {
		s.close(session)
		return fmt.Errorf("clean session: %w", err)
	}
	return nil
}

var errRefused = errors.New("the pool has no use for it any more")

// wait returns a session, or nil where one may be opened.
func (s *Sessions) wait(ctx context.Context, share *Share, owner any) (*Session, error) {
	w := &waiter{share, owner, make(chan *Session, 1)}
	s.mu.Lock()
	s.waiting = append(s.waiting, w)
	s.lend()
	s.mu.Unlock()
	select {
	case session := <-w.lent:
		return session, nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := slices.Index(s.waiting, w); n >= 0 {
		s.waiting = slices.Delete(s.waiting, n, n+1)
	} else if session := <-w.lent; session != nil { // meanwhile
		s.putBack(session)
	} else {
		s.open--
		share.busy--
		s.lend()
	}
	return nil, context.Cause(ctx)
}

// putBack makes a session idle. The caller holds mu.
func (s *Sessions) putBack(session *Session) {
	session.share.busy--
	session.share = nil
	s.idle = append(s.idle, session)
	s.lend()
}

// lend serves those that wait, the first one first, as far as it can. The caller holds mu.
func (s *Sessions) lend() {
	now, wake := time.Now(), time.Duration(0)
	s.waiting = slices.DeleteFunc(s.waiting, func(w *waiter) bool {
		if !s.mayHave(w.share) {
			return false
		}
		n := slices.IndexFunc(s.idle, func(i *Session) bool { return i.owner == w.owner })
		if n < 0 && s.open < s.most {
			s.open++
			w.share.busy++
			w.lent <- nil
			return true
		}
		for i := 0; n < 0 && i < len(s.idle); i++ {
			left := turnTime - now.Sub(s.idle[i].since)
			if !s.idle[i].kept || left <= 0 {
				n = i
			} else if wake == 0 || left < wake {
				wake = left
			}
		}
		if n < 0 {
			return false
		}
		s.idle[n].share = w.share
		w.share.busy++
		w.lent <- s.idle[n]
		s.idle = slices.Delete(s.idle, n, n+1)
		return true
	})
	if wake > 0 {
		if s.wakes != nil {
			s.wakes.Stop()
		}
		s.wakes = time.AfterFunc(wake, s.turnIsOver)
	}
}

func (s *Sessions) turnIsOver() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lend()
}

// nameParameter is what the server reports to the client when it changes. By it a successor finds what its predecessor
// has left.
const nameParameter = "application_name"

// Give takes a session back from its handler, which has more to do, as far as that is known. One that is not usable is
// closed, and one that a statement has renamed is cleaned at once.
func (r *Share) Give(session *Session, more bool) {
	s := r.of
	if !session.usable() || session.InTransaction() {
		s.close(session)
		return
	}
	if !s.keeps || session.PgConn().ParameterStatus(nameParameter) != session.name {
		s.giveBack(context.Background(), session)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	session.kept, session.idle = more, time.Now()
	s.putBack(session)
}

// giveBack cleans a session that is not in use, for the pool.
func (s *Sessions) giveBack(ctx context.Context, session *Session) {
	if s.renew(ctx, session, nil) == nil {
		session.pooled.Release()
		s.forget(session.share)
	}
}

// close ends a session that is not in use.
func (s *Sessions) close(session *Session) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	_ = session.Close(ctx)
	session.pooled.Release()
	s.forget(session.share)
}

// closeTime bounds the word to the server that a session ends.
const closeTime = time.Second

// forget takes in that there is one less, which a share had, or nobody.
func (s *Sessions) forget(share *Share) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
	if share != nil {
		share.busy--
	}
	s.lend()
}

// Run gives back what is idle, whoever's it was, until ctx is done. Until then, the runner has its share.
func (r *Share) Run(ctx context.Context) {
	s := r.of
	s.join(r)
	defer s.leave(r)
	ticker := time.NewTicker(idleTime / 2)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			for _, session := range s.takeIdle(func(i *Session) bool { return now.Sub(i.idle) >= idleTime }) {
				s.giveBack(ctx, session)
			}
		}
	}
}

// Close closes what is idle and has leavings of a handler, which takes none any more or has met one that was lost.
func (r *Share) Close(owner any) {
	s := r.of
	for _, session := range s.takeIdle(func(i *Session) bool { return i.owner == owner }) {
		s.close(session)
	}
}

// takeIdle returns those idle ones that take selects.
func (s *Sessions) takeIdle(take func(*Session) bool) (all []*Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle = slices.DeleteFunc(s.idle, func(i *Session) bool {
		taken := take(i)
		if taken {
			all = append(all, i)
		}
		return taken
	})
	return all
}
