package txsession

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// setup returns a share of sessions of a pool that has so many in all, and the pool, whose sessions are of the tenant
// "none".
func setup(t *testing.T, most int32) (*Share, *pgxpool.Pool) {
	t.Helper()
	config, err := pgxpool.ParseConfig(pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	config.MaxConns = most
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `set app.tenant = 'none'`)
		return err
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	s := New(pool, max(1, int(most/2))).Share()
	t.Cleanup(func() {
		for _, owner := range []string{"a", "b", "c"} {
			s.Close(owner)
		}
	})
	return s, pool
}

func take(t *testing.T, s *Share, handler string) *Session {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	session, err := s.Take(ctx, handler)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(session.pooled.Release) // or the pool would wait for it, after a failure
	return session
}

// leave has the session be of a tenant.
func leave(t *testing.T, session *Session, tenant string) {
	t.Helper()
	pgtest.Value[string](t, session, `select set_config('app.tenant', $1, false)`, tenant)
}

func tenant(t *testing.T, db pgtest.Querier) string {
	t.Helper()
	return pgtest.Value[string](t, db, `select current_setting('app.tenant')`)
}

// A handler gets its own session, or a new one; another's only where there are no more, and clean.
func TestSessionsChangeHands(t *testing.T) {
	s, _ := setup(t, 4) // of which transactions have two
	a := take(t, s, "a")
	leave(t, a, "a")
	s.Give(a, false)
	b := take(t, s, "b")
	if a == b {
		t.Error("a session changes hands although there is room for another")
	}
	leave(t, b, "b")
	if again := take(t, s, "a"); again != a || tenant(t, a) != "a" {
		t.Error("the handler's own session is another one, or cleaned")
	}
	s.Give(a, false)
	c := take(t, s, "c")
	if c != a || tenant(t, c) != "none" {
		t.Errorf("another handler's session has the tenant %q", tenant(t, c))
	}
	s.Give(c, false)
	s.Give(b, false)
}

// A session keeps its name, whatever a statement has made of that.
func TestNamesAreKept(t *testing.T) {
	s, _ := setup(t, 2)
	a := take(t, s, "a")
	pgtest.Value[string](t, a, `select set_config('application_name', 'mine', false)`)
	s.Give(a, true)
	a = take(t, s, "a")
	if got := pgtest.Value[string](t, a, `select current_setting('application_name')`); got != "" {
		t.Errorf("it is %q", got)
	}
	s.Give(a, false)
}

// waiting waits until so many wait.
func waiting(t *testing.T, s *Share, n int) {
	t.Helper()
	eventually(t, s, "those that wait", func() bool { return len(s.of.waiting) == n })
}

// eventually waits until is holds, under the lock.
func eventually(t *testing.T, s *Share, what string, is func() bool) {
	t.Helper()
	pgtest.Eventually(t, what, func() bool {
		s.of.mu.Lock()
		defer s.of.mu.Unlock()
		return is()
	})
}

// A session for which others wait stays its handler's for a turn, if that has more to do, and then no longer.
func TestTurns(t *testing.T) {
	s, _ := setup(t, 2) // of which transactions have one
	a := take(t, s, "a")
	a.since = time.Now().Add(time.Hour) // a turn that lasts
	got := make(chan *Session, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	var others sync.WaitGroup
	defer others.Wait()
	defer cancel()
	others.Go(func() {
		b, _ := s.Take(ctx, "b")
		got <- b
	})
	waiting(t, s, 1)
	s.Give(a, true)
	if take(t, s, "a") != a {
		t.Error("the handler's own session is another one")
	}
	a.since = time.Now()
	s.Give(a, true) // and does not come back
	s.Give(pgtest.Within(t, "the end of the turn", got), false)

	a = take(t, s, "a")
	a.since = time.Now().Add(time.Hour)
	others.Go(func() {
		b, _ := s.Take(ctx, "b")
		got <- b
	})
	waiting(t, s, 1)
	s.Give(a, false)
	s.Give(pgtest.Within(t, "a session whose handler has no more to do", got), false)
}

// What waits in vain, and what cannot be cleaned, costs no session.
func TestNothingIsLost(t *testing.T) {
	s, pool := setup(t, 2)
	a := take(t, s, "a")
	for range 3 {
		ctx, cancel := context.WithCancelCause(t.Context())
		var other sync.WaitGroup
		other.Go(func() {
			if _, err := s.Take(ctx, "b"); !errors.Is(err, errEnough) {
				t.Errorf("%v, want the cause of the end", err)
			}
		})
		waiting(t, s, 1)
		cancel(errEnough)
		other.Wait()
	}
	if _, err := a.Exec(t.Context(), `begin`); err != nil {
		t.Fatal(err)
	}
	s.Give(a, false)
	b := take(t, s, "b")
	if b == a || tenant(t, b) != "none" {
		t.Error("a session that is left in a transaction is not closed")
	}
	s.Give(b, false)
	pgtest.Value[bool](t, pool, `select pg_terminate_backend($1, 60000)`, b.PgConn().PID())
	if _, err := s.Take(t.Context(), "c"); err == nil {
		t.Error("a session that has ended is clean")
	}
	c := take(t, s, "c")
	if tenant(t, c) != "none" {
		t.Error("not a new session")
	}
	s.Give(c, false)
}

var errEnough = errors.New("enough")

// A session that is idle goes back to the pool, clean; where the pool has no other one, at once.
func TestIdleSessionsGoBack(t *testing.T) {
	for _, most := range []int32{1, 2} {
		s, pool := setup(t, most)
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { s.Run(ctx) })
		a := take(t, s, "a")
		leave(t, a, "a")
		s.Give(a, false)
		pgtest.Eventually(t, "the session to be the pool's", func() bool { return pool.Stat().AcquiredConns() == 0 })
		if got := tenant(t, pool); got != "none" {
			t.Errorf("the pool's session has the tenant %q", got)
		}
		if pool.Stat().TotalConns() != 1 {
			t.Error("it was closed")
		}
		stop()
		running.Wait()
	}
}
