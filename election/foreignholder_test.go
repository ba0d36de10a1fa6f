package election_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/election"
)

// takeKey takes the lock of the election for another application. %s is the function that does it.
const takeKey = `with entered as (
		insert into pgsolo.leader (election) values ('main') returning lock_id
	)
	select set_config('application_name', 'billing', false), %s('pgsolo.leader'::regclass::oid::int, lock_id)
		from entered`

// complaint is what the log says of a foreign holder.
const complaint = "another application holds the lock"

// A foreign holder of the key must not pass for a leader: no replica leads, and the log names it.
func TestAnotherApplicationHoldsTheLock(t *testing.T) {
	for _, lock := range []string{"pg_advisory_lock", "pg_advisory_lock_shared"} {
		t.Run(lock, func(t *testing.T) {
			t.Parallel()
			url := pgtest.Database(t)
			foreign := pgtest.Connect(t, url)
			if _, err := foreign.Exec(t.Context(), fmt.Sprintf(takeKey, lock)); err != nil {
				t.Fatal(err)
			}
			log := &pgtest.Buffer{}
			r := setup(t, url, logged(log))
			pgtest.Eventually(t, "the log to name the foreign holder", func() bool {
				return strings.Contains(log.String(), complaint) &&
					strings.Contains(log.String(), "application_name=billing")
			})
			before := r.elector.Status().SeenAt
			pgtest.Eventually(t, "more polls",
				func() bool { return r.elector.Status().SeenAt.Sub(before) > 500*time.Millisecond })
			if role := r.elector.Status().Role; role != election.Outside {
				t.Errorf("behind the foreign holder it is %s, want %s", role, election.Outside)
			}
			if n := strings.Count(log.String(), complaint); n != 1 {
				t.Errorf("the log names the foreign holder %d times, want one line per change:\n%s", n, log)
			}
			select {
			case term := <-r.leading:
				t.Fatalf("it leads beside the foreign holder, in term %d", term.Number)
			default:
			}
			if _, err := foreign.Exec(t.Context(), `select pg_advisory_unlock_all()`); err != nil {
				t.Fatal(err)
			}
			pgtest.Within(t, "leader once the foreign holder has let go", r.leading)
		})
	}
}

// The tables of a copy of a database have the same oids, and so the same key. The locks are two nevertheless, and a
// leader is no foreign holder to its standby.
func TestTheSameKeyInAnotherDatabase(t *testing.T) {
	t.Parallel()
	if _, err := pgtest.Connect(t, pgtest.Database(t)).Exec(t.Context(),
		fmt.Sprintf(takeKey, "pg_advisory_lock")); err != nil {
		t.Fatal(err)
	}
	url, log := pgtest.Database(t), &pgtest.Buffer{}
	leader := setup(t, url, logged(log), briefly)
	term := pgtest.Within(t, "leader", leader.leading)
	// While it leaves the next round to others the lock is free, and it reads who holds it.
	if _, err := leader.elector.StepDown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again := pgtest.Within(t, "leader once more", leader.leading); again.Number != term.Number+1 {
		t.Errorf("term %d follows %d", again.Number, term.Number)
	}

	standby := setup(t, url, logged(log))
	pgtest.Eventually(t, "standby", func() bool { return standby.elector.Status().Role == election.Standby })
	before := standby.elector.Status().SeenAt
	pgtest.Eventually(t, "more polls",
		func() bool { return standby.elector.Status().SeenAt.Sub(before) > 500*time.Millisecond })
	if role := standby.elector.Status().Role; role != election.Standby {
		t.Errorf("behind the leader it is %s, want %s", role, election.Standby)
	}
	if strings.Contains(log.String(), complaint) {
		t.Errorf("it takes a session for a foreign holder that is none:\n%s", log)
	}
}
