package election_test

import (
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/election"
)

// Two databases that are copies of one template have the same lock, but for the database's own id. The pings of the
// leader in one are not taken for those of the leader in the other.
func TestPingsInAnotherDatabaseDoNotCount(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	pgtest.Within(t, "leader elsewhere", setup(t, pgtest.Database(t), briefly).leading) // pings on
	proxy := serve(t, url)
	first := setup(t, proxy.url, briefly)
	pgtest.Within(t, "first leader", first.leading)
	second := setup(t, url, briefly)
	pgtest.Eventually(t, "standby", func() bool { return second.elector.Status().Role == election.Standby })
	proxy.partition() // the relay keeps the leader's connection up
	pgtest.Within(t, "second leader", second.leading)
	pgtest.Within(t, "first to end", first.ended)
	first.ended <- nil
	wantHistory(t, url, "lease expired", "")
}
