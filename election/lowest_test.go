package election_test

import (
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/election"
)

// A term is above every term that stands anywhere, also where the leader row was deleted, or restored by itself.
func TestTermIsAboveWhatStands(t *testing.T) {
	url := pgtest.Database(t)
	conn := pgtest.Connect(t, url)
	lowest := int64(0)
	leads := func(want int64) {
		t.Helper()
		r := setup(t, url, func(o *election.Options) { o.LowestTerm = func() int64 { return lowest } })
		if term := pgtest.Within(t, "leader", r.leading); term.Number != want {
			t.Errorf("term %d, want %d", term.Number, want)
		}
		r.stop()
		if err := pgtest.Within(t, "end", r.ended); err != nil {
			t.Error(err)
		}
		r.ended <- nil
	}
	leads(1)
	lowest = 100
	leads(100)
	lowest = 7
	leads(101)
	if _, err := conn.Exec(t.Context(), `update pgsolo.leader set term = 3`); err != nil {
		t.Fatal(err)
	}
	leads(102)
	if _, err := conn.Exec(t.Context(), `delete from pgsolo.leader`); err != nil {
		t.Fatal(err)
	}
	leads(7)
	if n := pgtest.Value[int](t, conn, `select count(*) from pgsolo.leader_term where until is null`); n != 0 {
		t.Errorf("%d terms have not ended", n)
	}
}
