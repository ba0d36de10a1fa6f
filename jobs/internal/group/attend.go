package group

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

const (
	attend   = `select pgsolo.attend($1, $2, $3)`
	countLed = `select pgsolo.count_led($1, $2, $3)`
	leave    = `select pgsolo.leave($1, $2)`
	unlock   = `select pg_advisory_unlock_all()`

	maxCount   = time.Minute // between two counts
	minCount   = 100 * time.Millisecond
	countParts = 20 // of the grace

	headStart = 50 * time.Millisecond // of the leader's work
	leaveTime = time.Second           // for the last words
)

// sharedKey is where a context has the attendances of jobs.Run.
type sharedKey struct{}

// shared are the attendances of all engines of one leadership: those in one group share a session.
type shared struct {
	mu  sync.Mutex // guards all
	all map[key]*attendance
}

type key struct{ url, schema, group string }

// Share has the engines that run under the context share what Attend opens. The caller calls leave when all of them
// have ended; planned says that they have stopped as planned, so that another group may go on at once.
func Share(ctx context.Context) (sharing context.Context, leave func(planned bool)) {
	s := &shared{all: map[key]*attendance{}}
	return context.WithValue(ctx, sharedKey{}, s), func(planned bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, a := range s.all {
			a.leave(planned)
		}
	}
}

// attendance is the session that says that a leader lives, and counts the time for which it does. One goroutine owns
// it.
type attendance struct {
	group  Group
	term   int64
	logger hclog.Logger
	cancel context.CancelFunc
	ended  chan struct{}

	planned bool      // how it ended; written before cancel
	counted time.Time // up to here the time is counted; zero: from nowhere on
}

// Attend holds the group's lock for the leader of this term, beside whatever else it does, and counts the time, until
// leave is called. It takes no session of the pool, whose number may be small, but has one of its own with the same
// settings. Where it gets none, or the role may not, the leader leads all the same: names of its group may then be
// taken by another one.
func (g Group) Attend(ctx context.Context, term int64, logger hclog.Logger) (leave func(planned bool)) {
	s, isShared := ctx.Value(sharedKey{}).(*shared)
	if !isShared {
		return g.attend(ctx, term, logger).leave
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := key{g.DB.Pool.Config().ConnString(), g.DB.Schema, g.Name}
	if s.all[k] == nil {
		s.all[k] = g.attend(ctx, term, logger)
	}
	return func(bool) {}
}

func (g Group) attend(ctx context.Context, term int64, logger hclog.Logger) *attendance {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // until the last handler has ended
	a := &attendance{group: g, term: term, logger: logger, cancel: cancel, ended: make(chan struct{})}
	go a.run(ctx)
	return a
}

func (a *attendance) leave(planned bool) {
	a.planned = planned
	a.cancel()
	<-a.ended
}

// run opens one session after the other, until it is told to leave or another one is not worth the try.
func (a *attendance) run(ctx context.Context) {
	defer close(a.ended)
	failing := false
	select { // what the first event waits for comes first
	case <-ctx.Done():
		return
	case <-time.After(headStart):
	}
	for backoff := pg.MinBackoff; ; backoff = min(2*backoff, pg.MaxBackoff) {
		held, err := a.session(ctx)
		switch {
		case ctx.Err() != nil, errors.Is(err, pg.ErrFenced):
			return
		case pg.IsNotAllowed(err):
			a.logger.Warn("the role may not say that it leads, "+
				"so that another election with the same names may take them: grant execute on the function",
				"function", a.group.DB.Place("pgsolo.attend(text, bigint, bigint)"), "error", err)
			return
		case held:
			backoff = pg.MinBackoff
		case !failing:
			failing = true
			a.logger.Warn("no session says that this election is led, trying again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(backoff):
		}
	}
}

// session holds the lock on one session until that breaks. held says that it did for a while.
func (a *attendance) session(ctx context.Context) (held bool, err error) {
	conn, err := a.connect(ctx)
	if err != nil {
		return false, err
	}
	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTime)
		defer cancel()
		if held && ctx.Err() != nil && a.planned && !conn.IsClosed() {
			_, _ = conn.Exec(last, a.group.DB.Place(leave), a.group.Name, a.term) // or it is waited for, which is all
			_, _ = conn.Exec(last, unlock)
		}
		_ = conn.Close(last)
	}()
	grace := a.group.Grace()
	var entered *bool
	// A leader that is told to leave meanwhile hears the answer, for it may hold the lock.
	entering, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(leaveTime, stop) })()
	err = pg.Try(entering, func(ctx context.Context) error {
		return conn.QueryRow(ctx, a.group.DB.Place(attend), a.group.Name, a.term, grace.Microseconds()).Scan(&entered)
	})
	switch {
	case err != nil:
		return false, err
	case entered == nil:
		return false, errLocked
	case !*entered:
		return false, pg.ErrFenced
	}
	every := countEvery(grace)
	if a.counted.IsZero() {
		a.counted = time.Now()
	}
	for {
		waiting, cancel := context.WithTimeout(ctx, every)
		_, err = conn.WaitForNotification(waiting) // none is due: this ends early when the session does
		cancel()
		if ctx.Err() != nil || conn.IsClosed() {
			return true, err
		}
		now := time.Now()
		passed := now.Sub(a.counted).Microseconds()
		err = pg.Try(ctx, func(ctx context.Context) error {
			_, err := conn.Exec(ctx, a.group.DB.Place(countLed), a.group.Name, a.term, passed)
			return err
		})
		if err == nil {
			a.counted = now
		} else if conn.IsClosed() {
			return true, err
		}
	}
}

// countEvery is a part of the grace. Without one nothing waits for the time to pass: what a leader lacks is retired
// when it declares what it has, and what a leader of the version before has marked may stay for a minute.
func countEvery(grace time.Duration) time.Duration {
	if grace == 0 {
		return maxCount
	}
	return min(maxCount, max(minCount, grace/countParts))
}

var errLocked = errors.New("another session has the lock of this election for itself alone")

// connect opens a session as the pool does.
func (a *attendance) connect(ctx context.Context) (conn *pgx.Conn, err error) {
	err = pg.Try(ctx, func(ctx context.Context) error {
		if conn, err = a.group.DB.Connect(ctx); err != nil {
			return err
		}
		_, err = conn.Exec(ctx, pg.OwnSettings)
		return err
	})
	if err != nil && conn != nil {
		_ = conn.Close(context.WithoutCancel(ctx))
	}
	return conn, err
}
