package election_test

import (
	"context"
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/election"
)

func TestLeaderWithoutProgressIsReplaced(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	wedged := make(chan struct{})
	noProgress := context.DeadlineExceeded
	first := setup(t, url, briefly, func(o *election.Options) {
		o.Healthy = func() error {
			select {
			case <-wedged:
				return noProgress
			default:
				return nil
			}
		}
	})
	term := pgtest.Within(t, "first leader", first.leading)
	if !term.Held() {
		t.Error("a leader does not hold its term")
	}
	close(wedged)
	pgtest.Within(t, "loss", first.cause)
	if term.Held() {
		t.Error("a leader that has lost holds its term")
	}
	pgtest.Within(t, "end", first.ended)
	first.ended <- nil
	if n := first.elector.Stats().Lost["no progress"]; n != 1 {
		t.Errorf("%d losses counted, want 1: %v", n, first.elector.Stats().Lost)
	}
}
