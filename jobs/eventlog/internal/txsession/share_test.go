package txsession

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// A runner whose statements last leaves a session to each other one that runs, and gets it once that one has gone.
func TestEachRunnerHasAShare(t *testing.T) {
	slow, _ := setup(t, 6) // of which transactions have three
	other := slow.of.Share()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() { slow.Run(ctx) })
	otherCtx, gone := context.WithCancel(ctx)
	defer gone()
	running.Go(func() { other.Run(otherCtx) })
	runs(t, slow, 2)

	first, second := take(t, slow, "a"), take(t, slow, "b")
	third := takeLater(ctx, t, slow, "c")
	waiting(t, slow, 1)
	for range 2 { // as often as it likes
		other.Give(take(t, other, "x"), false)
	}
	slow.Give(first, false) // one for another
	c := pgtest.Within(t, "a session that is given back", third)
	third = takeLater(ctx, t, slow, "a")
	waiting(t, slow, 1)
	gone()
	for _, session := range []*Session{c, second, pgtest.Within(t, "the share of one that has gone", third)} {
		slow.Give(session, false)
	}
	other.Close("x")
}

// takeLater takes a session as soon as there is one, which is closed after a failure.
func takeLater(ctx context.Context, t *testing.T, s *Share, handler string) <-chan *Session {
	taken := make(chan *Session, 1)
	var taking sync.WaitGroup
	taking.Go(func() {
		if session, err := s.Take(ctx, handler); err == nil {
			t.Cleanup(session.pooled.Release)
			taken <- session
		}
	})
	t.Cleanup(taking.Wait)
	return taken
}

// runs waits until so many run.
func runs(t *testing.T, s *Share, n int) {
	t.Helper()
	eventually(t, s, "runners", func() bool { return len(s.of.shares) == n })
}
