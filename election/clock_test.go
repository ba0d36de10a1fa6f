package election_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

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

// A leader whose clock is not the database's says so, and leads all the same.
func TestClockThatDiffersIsNamed(t *testing.T) {
	t.Parallel()
	for ahead, said := range map[time.Duration]string{
		time.Hour: "ahead_by=", -time.Hour: "ahead_by=-", -3 * time.Second: "ahead_by=-", 0: "",
	} {
		var log pgtest.Buffer
		clocks := &election.Clocks{}
		clocks.Wall.Store(int64(ahead))
		first := setupWith(t, pgtest.Database(t), clocks.Use, func(o *election.Options) {
			o.Logger = hclog.New(&hclog.LoggerOptions{Output: &log})
		})
		term := pgtest.Within(t, "leader", first.leading)
		pgtest.Eventually(t, "the ping", func() bool { return first.elector.Stats().PingRoundTrip > 0 })
		pgtest.Eventually(t, "what the ping has shown", func() bool {
			off := first.elector.Status().ClockAhead - ahead
			return off.Abs() < time.Second && strings.Contains(log.String(), said)
		})
		if named := strings.Contains(log.String(), "clock differs"); named != (said != "") {
			t.Errorf("%s ahead: named is %t:\n%s", ahead, named, &log)
		}
		clocks.Step(-ahead, 0)
		term.Held() // which asks for a ping
		pgtest.Eventually(t, "the clocks to agree", func() bool {
			return first.elector.Status().ClockAhead.Abs() < time.Second &&
				(said == "" || strings.Contains(log.String(), "agrees with the database's again"))
		})
	}
}
