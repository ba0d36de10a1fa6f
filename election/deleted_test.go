package election_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/election"
)

// A leader whose row is deleted ends its term by name, and nobody leads with the lock of another row before that.
func TestLeaderRowIsDeleted(t *testing.T) {
	url := pgtest.Database(t)
	first := setup(t, url, briefly)
	pgtest.Within(t, "first leader", first.leading)
	standby := setup(t, url, briefly)
	pgtest.Eventually(t, "the standby", func() bool { return standby.elector.Status().Role == election.Standby })
	conn := pgtest.Connect(t, url)
	if _, err := conn.Exec(t.Context(), `delete from pgsolo.leader`); err != nil {
		t.Fatal(err)
	}
	late := setup(t, url, briefly)
	mustFollow(t, first, "row was deleted", standby, late)
	pgtest.Within(t, "end", first.ended)
	first.ended <- nil
}

// mustFollow waits until one of two replicas follows the first leader, which was lost before, for the reason.
func mustFollow(t *testing.T, first *replica, reason string, standby, late *replica) {
	t.Helper()
	select {
	case <-standby.leading:
	case <-late.leading:
	case err := <-standby.ended:
		t.Fatalf("the standby ended: %v", err)
	case err := <-late.ended:
		t.Fatalf("the one that came after ended: %v", err)
	}
	select {
	case cause := <-first.cause:
		if !errors.Is(cause, election.ErrLost) || !strings.Contains(cause.Error(), reason) {
			t.Errorf("the first leader was lost by %v, want %q", cause, reason)
		}
	default:
		t.Error("another leads while the first one still does")
	}
}
