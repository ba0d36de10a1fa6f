package election_test

import (
	"errors"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/election"
)

// setupClocks starts a replica that goes by clocks which the test sets.
func setupClocks(t *testing.T, url string) (*replica, *election.Clocks) {
	t.Helper()
	clocks := &election.Clocks{}
	return setupWith(t, url, clocks.Use), clocks
}

// The machine was suspended for longer than 0.6 of the lease. When it wakes the leader leads no more, although its
// session is still there, and its timers have most of their time to go.
func TestSuspendedLeaderLeadsNoMore(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	first, clocks := setupClocks(t, url)
	term := pgtest.Within(t, "first leader", first.leading)
	if !term.Held() {
		t.Fatal("a leader does not hold its term")
	}
	clocks.Step(calm, calm)
	began := time.Now()
	if term.Held() {
		t.Error("a leader that was suspended for its lease holds its term")
	}
	if cause := pgtest.Within(t, "loss", first.cause); !errors.Is(cause, election.ErrLost) {
		t.Errorf("cause %v, want ErrLost", cause)
	}
	pgtest.Within(t, "the end of the leadership", term.Over)
	if took := time.Since(began); took > tardy {
		t.Errorf("lost %s after it woke, want at once", took)
	}
	if term.Held() {
		t.Error("held again")
	}
	pgtest.Within(t, "end", first.ended)
	first.ended <- nil
}

// A clock was set, or the machine was suspended for a moment: the leader asks the server, and goes on.
func TestLeaderWhoseClockIsSetGoesOn(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	first, clocks := setupClocks(t, url)
	term := pgtest.Within(t, "first leader", first.leading)
	for name, set := range map[string]struct{ wall, boot time.Duration }{
		"an hour forwards":  {time.Hour, 0},
		"an hour backwards": {-time.Hour, 0},
		"suspended":         {calm / 5, calm / 5},
	} {
		clocks.Step(set.wall, set.boot)
		began := time.Now()
		if !term.Held() {
			t.Errorf("%s: not held", name)
		}
		if took := time.Since(began); took > calm/5 { // the next ping without being asked
			t.Errorf("%s: held after %s, want a ping's time", name, took)
		}
	}
	select {
	case cause := <-first.cause:
		t.Errorf("lost: %v", cause)
	default:
	}
}
