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
		if !errors.Is(cause, election.ErrLost) || !strings.Contains(cause.Error(), "row was deleted") {
			t.Errorf("the first one was lost by %v", cause)
		}
	default:
		t.Error("another leads while the first one still does")
	}
	pgtest.Within(t, "end", first.ended)
	first.ended <- nil
}
