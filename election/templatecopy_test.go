package election_test

import (
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/privatepg"
	"github.com/pgsolo/pgsolo/election"
)

// Two databases that are copies of one template have the same lock, but for the database's own id. The pings of the
// leader in one are not taken for those of the leader in the other.
func TestPingsInAnotherDatabaseDoNotCount(t *testing.T) {
	t.Parallel()
	url := privatepg.Database(t)
	within(t, "leader elsewhere", setup(t, privatepg.Database(t), briefly).leading) // pings on
	proxy := serve(t, url)
	first := setup(t, proxy.url, briefly)
	within(t, "first leader", first.leading)
	second := setup(t, url, briefly)
	eventually(t, "standby", func() bool { return second.elector.Status().Role == election.Standby })
	proxy.partition() // the relay keeps the leader's connection up
	within(t, "second leader", second.leading)
	within(t, "first to end", first.ended)
	first.ended <- nil
	wantHistory(t, url, "lease expired", "")
}
