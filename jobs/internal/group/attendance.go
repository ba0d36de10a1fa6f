package group

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

const (
	headStart = 50 * time.Millisecond // of the leader's work
	leaveTime = time.Second           // for the last words, and for the step before them
)

// attendance is the session that says that leaders live, and counts the time for which each does. A goroutine owns it,
// which runs while it has members, and takes one step of one member after the other. The members of a session that
// breaks enter again on the next one.
type attendance struct {
	mu      sync.Mutex // guards what follows, and what a member says of it
	members []*member
	changed bool               // since the goroutine has last read members
	wake    context.CancelFunc // ends its wait; nil: it does not wait
	cut     context.CancelFunc // ends its step

	conn *pgx.Conn // of the goroutine; nil: none at present
}

// enter has a member attend until leave is called, which waits until it does no more.
func (a *attendance) enter(m *member) (leave func(planned bool)) {
	m.due = time.Now().Add(headStart) // what the first event waits for comes first
	a.mu.Lock()
	a.members = append(a.members, m)
	if len(a.members) == 1 {
		go a.run()
	}
	a.notify()
	a.mu.Unlock()
	return func(planned bool) { a.leave(m, planned) }
}

// leave waits for a step of another member no longer than for one of its own: then the session ends, and with it the
// lock, which the others take again.
func (a *attendance) leave(m *member, planned bool) {
	a.mu.Lock()
	m.leaving, m.planned = true, planned
	a.notify()
	a.mu.Unlock()
	timer := time.AfterFunc(leaveTime, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.cut != nil {
			a.cut()
		}
	})
	defer timer.Stop()
	<-m.left
}

// notify is called under the lock.
func (a *attendance) notify() {
	a.changed = true
	if a.wake != nil {
		a.wake()
	}
}

// run ends when the last member has left.
func (a *attendance) run() {
	for {
		m, leaving, planned := a.next()
		switch {
		case leaving:
			if last := a.part(m, planned); last {
				return
			}
		case m.over || time.Now().Before(m.due):
			a.wait()
		default:
			a.step(m, a.serve)
		}
		if a.conn != nil && a.conn.IsClosed() {
			a.broken()
		}
	}
}

// next is the member that has to be served first: one that leaves, or the one whose step is due first.
func (a *attendance) next() (first *member, leaving, planned bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.changed = false
	for _, m := range a.members {
		if m.leaving {
			return m, true, m.planned
		}
		if first == nil || first.over || !m.over && m.due.Before(first.due) {
			first = m
		}
	}
	return first, false, false
}

// wait waits for the next step, or for a member that enters or leaves, or for the end of the session.
func (a *attendance) wait() {
	waiting, cancel := context.WithCancel(context.Background())
	defer cancel()
	a.mu.Lock()
	at := time.Now().Add(maxCount)
	for _, m := range a.members {
		if !m.over && m.due.Before(at) {
			at = m.due
		}
	}
	if a.changed {
		a.mu.Unlock()
		return
	}
	a.wake = cancel
	a.mu.Unlock()
	bounded, stop := context.WithDeadline(waiting, at)
	defer stop()
	if a.conn == nil {
		<-bounded.Done()
	} else {
		_, _ = a.conn.WaitForNotification(bounded) // none is due: this ends early when the session does
	}
	a.mu.Lock()
	a.wake = nil
	a.mu.Unlock()
}

// step takes a step that leave can cut.
func (a *attendance) step(m *member, take func(context.Context, *member) error) {
	ctx, cancel := context.WithCancel(m.ctx)
	defer cancel()
	a.mu.Lock()
	a.cut = cancel
	a.mu.Unlock()
	err := take(ctx, m)
	a.mu.Lock()
	a.cut = nil
	a.mu.Unlock()
	if err != nil {
		m.failed(err)
	}
	if m.over && !a.isOfUse() {
		closeSession(a.conn)
		a.conn = nil
	}
}

// isOfUse says whether the session holds a lock.
func (a *attendance) isOfUse() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.ContainsFunc(a.members, func(m *member) bool { return m.entered })
}

// serve takes a member's next step. A count that is refused is made up for by the next one.
func (a *attendance) serve(ctx context.Context, m *member) (err error) {
	if a.conn == nil {
		if a.conn, err = connect(ctx, m.group.DB); err != nil {
			return err
		}
	}
	if !m.entered {
		return m.enter(ctx, a.conn)
	}
	_ = m.count(ctx, a.conn)
	return nil
}

// part has a member leave. The session goes with the last one, and is another's no more by then: the next member has a
// goroutine of its own.
func (a *attendance) part(m *member, planned bool) (last bool) {
	if m.entered {
		ctx, cancel := context.WithTimeout(m.ctx, leaveTime)
		if m.leave(ctx, a.conn, planned) != nil {
			_ = a.conn.Close(ctx)
		}
		cancel()
	}
	var idle *pgx.Conn
	a.mu.Lock()
	a.members = slices.DeleteFunc(a.members, func(other *member) bool { return other == m })
	if last = len(a.members) == 0; last {
		idle, a.conn = a.conn, nil
	}
	a.mu.Unlock()
	closeSession(idle)
	close(m.left)
	return last
}

// broken has every member enter again.
func (a *attendance) broken() {
	closeSession(a.conn)
	a.conn = nil
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, m := range a.members {
		if m.entered {
			m.entered, m.due = false, time.Now().Add(pg.MinBackoff)
		}
	}
}

func closeSession(conn *pgx.Conn) {
	if conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaveTime)
	defer cancel()
	_ = conn.Close(ctx)
}

// connect opens a session as the pool does.
func connect(ctx context.Context, db pg.DB) (conn *pgx.Conn, err error) {
	err = pg.Try(ctx, func(ctx context.Context) error {
		if conn, err = db.Connect(ctx); err != nil {
			return err
		}
		_, err = conn.Exec(ctx, pg.OwnSettings)
		return err
	})
	if err != nil {
		closeSession(conn)
		conn = nil
	}
	return conn, err
}
