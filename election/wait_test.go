package election_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/election"
)

// pretendToLead makes two sessions that are those of the leader of term 1, as far as the server tells: one holds the
// lock, whatever its silence, and one is there for work. Without a lease it is a leader of the version before.
func pretendToLead(t *testing.T, url string, lease time.Duration) (lock, work *pgx.Conn) {
	t.Helper()
	lock, work = connectAs(t, url, "pgsolo main term 1"), connectAs(t, url, "pgsolo main term 1")
	if _, err := lock.Exec(t.Context(), `insert into pgsolo.leader (election, timeline, term, holder, since, clean)
			values ('main', 1, 1, 'pretender', now(), false);
		insert into pgsolo.leader_term (election, timeline, term, holder, address, since)
			values ('main', 1, 1, 'pretender', '', now());
		select pg_advisory_lock('pgsolo.leader'::regclass::oid::integer, lock_id) from pgsolo.leader`); err != nil {
		t.Fatal(err)
	}
	if lease > 0 {
		const tell = `update pgsolo.leader_term set lease_ms = $1`
		if _, err := work.Exec(t.Context(), tell, lease.Milliseconds()); err != nil {
			t.Fatal(err)
		}
	}
	return lock, work
}

// The server does not end the session of a silent leader, as when its clock was set back. The standby does, a lease
// after the last sign of life, by its own clock.
func TestStandbyEndsTheSessionOfASilentLeader(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	lock, work := pretendToLead(t, url, brief)
	silent := time.Now()
	second := setup(t, url, briefly)
	pgtest.Within(t, "second leader", second.leading)
	took := time.Since(silent)
	t.Logf("silent for %s", took.Round(time.Millisecond))
	if took < brief || took > brief+brief/5+tardy {
		t.Errorf("the second leads after %s, want a lease and a ping at most, and no less than a lease", took)
	}
	for _, conn := range []*pgx.Conn{lock, work} {
		if err := conn.Ping(context.Background()); err == nil {
			t.Error("a session of the silent leader is left")
		}
	}
	wantHistory(t, url, "fenced", "")
}

// A leader of the version before may have a longer lease than the standby, and does not tell: the server ends its
// sessions.
func TestStandbyLeavesALeaderOfTheVersionBefore(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	lock, work := pretendToLead(t, url, 0)
	silent := time.Now()
	for _, conn := range []*pgx.Conn{lock, work} {
		if _, err := conn.Exec(t.Context(),
			fmt.Sprintf("set idle_session_timeout = %d", (2*brief).Milliseconds())); err != nil {
			t.Fatal(err)
		}
	}
	second := setup(t, url, briefly)
	pgtest.Within(t, "second leader", second.leading)
	if took := time.Since(silent); took < 2*brief {
		t.Errorf("the second leads after %s, want no less than the lease of the first (%s)", took, 2*brief)
	}
}

// The lock session of a leader ends after its last ping was seen, and not at once: another may have come since. So its
// successor waits for the other session until a lease after it won, and then ends that.
func TestSuccessorCountsFromWhereAPingMayHaveBeen(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	lock, work := pretendToLead(t, url, brief+tardy)
	lasting := func(o *election.Options) { o.Lease, o.PollInterval = brief+tardy, 900*time.Millisecond }
	second := setup(t, url, lasting)
	pgtest.Eventually(t, "standby", func() bool { return second.elector.Status().Role == election.Standby })
	observer := pgtest.Connect(t, url)
	pgtest.Eventually(t, "two seconds of silence", func() bool {
		return pgtest.Value[bool](t, observer, `select clock_timestamp() - state_change > interval '2 s'
			from pg_stat_activity where pid = $1`, int32(lock.PgConn().PID()))
	})
	ended := time.Now()
	terminateLock(t, url)
	pgtest.Within(t, "second leader", second.leading)
	took := time.Since(ended)
	t.Logf("led %s after the end of the lock session", took.Round(time.Millisecond))
	if took < brief+tardy {
		t.Errorf("the second leads %s after the lock session ended, want no less than a lease", took)
	}
	if err := work.Ping(context.Background()); err == nil {
		t.Error("a session of the leader before is left")
	}
}
