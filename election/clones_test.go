package election_test

import (
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/privatepg"
	"github.com/pgsolo/pgsolo/election"
)

// Two databases that are copies of one template have the same lock, but for the database's own id. The pings of the leader in
// one are not taken for those of the leader in the other.
func TestLeaderOfAnotherDatabaseIsNotHeard(t *testing.T) {
	url := privatepg.Database(t)
	within(t, "leader elsewhere", setup(t, privatepg.Database(t), func(o *election.Options) { o.Lease = time.Second }).leading) // pings on
	proxy := serve(t, url)
	first := setup(t, proxy.url, func(o *election.Options) { o.Lease = time.Second })
	within(t, "first leader", first.leading)
	second := setup(t, url, func(o *election.Options) { o.Lease = time.Second })
	eventually(t, "standby", func() bool { return second.elector.Status().Role == election.Standby })
	proxy.partition() // the relay keeps the leader's connection up
	within(t, "second leader", second.leading)
	within(t, "first to end", first.ended)
	first.ended <- nil
	wantHistory(t, url, "lease expired", "")
}
