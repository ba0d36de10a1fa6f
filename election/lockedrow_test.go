package election_test

import (
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/election"
)

// A transaction that locks the table of the leaders ends no leadership, however long it lasts: the lock proves it.
// Afterwards the leader hands over as before.
func TestLeaderRowThatCannotBeRead(t *testing.T) {
	t.Parallel()
	const lease = 4 * time.Second
	url := pgtest.Database(t)
	r := setup(t, url, func(o *election.Options) { o.Lease = lease })
	pgtest.Within(t, "leader", r.leading)
	conn := pgtest.Connect(t, url)
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `lock table pgsolo.leader`); err != nil {
		t.Fatal(err)
	}
	locked := time.Now()
	pgtest.Eventually(t, "pings beyond the lease", func() bool {
		return r.elector.Status().SeenAt.After(locked.Add(lease))
	})
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := r.elector.Status(); s.Role != election.Leader || s.Term.Number != 1 {
		t.Errorf("%s of term %d after the table was locked", s.Role, s.Term.Number)
	}
	r.stop()
	pgtest.Within(t, "end", r.ended)
	r.ended <- nil
	if !pgtest.Value[bool](t, conn, `select clean from pgsolo.leader`) {
		t.Error("not resigned")
	}
}
