package election_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/election"
)

// A pooler that shares server sessions gives the same one to two replicas, and a session may take its own advisory lock
// twice: both would lead. With few clients it seems sane, because it hands out the session that was used last.
func TestSharingPoolerIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		mode, settings, query string
		crowd                 int // other clients of the pool
	}{
		"transaction mode":                     {mode: "transaction"},
		"transaction mode, one server session": {mode: "transaction", settings: "default_pool_size = 1"},
		"transaction mode, sessions in turn":   {mode: "transaction", settings: "server_round_robin = 1", crowd: 3},
		"transaction mode, nothing prepared": {mode: "transaction", settings: "default_pool_size = 1",
			query: "&default_query_exec_mode=simple_protocol"},
		"statement mode": {mode: "statement"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			database := pgtest.Database(t)
			through := pool(t, database, "pool_mode = "+test.mode, test.settings)
			for range test.crowd {
				keepBusy(t, through)
			}
			replicas := []*replica{setup(t, through+test.query), setup(t, through+test.query)}
			for _, r := range replicas {
				select {
				case term := <-r.leading:
					t.Fatalf("a replica leads through the pooler, in term %d", term.Number)
				case err := <-r.ended:
					if err == nil || !strings.Contains(err.Error(), "pooler in transaction or statement mode") ||
						!strings.Contains(err.Error(), "connect to PostgreSQL directly") {
						t.Errorf("Run returned %v, want an error that names the pooler and the remedy", err)
					}
					r.ended <- nil
				case <-time.After(pgtest.Patience):
					t.Fatal("the pooler is not refused")
				}
			}

			conn := pgtest.Connect(t, database)
			pgtest.Eventually(t, "no advisory lock to be left behind", func() bool {
				return pgtest.Value[bool](t, conn, `select not exists (select from pg_locks where locktype = 'advisory'
					and database = (select oid from pg_database where datname = current_database()))`)
			})
			if term := pgtest.Value[int](t, conn, `select coalesce(max(term), 0) from pgsolo.leader`); term != 0 {
				t.Errorf("term %d was left behind, want none", term)
			}
		})
	}
}

// keepBusy is a client that has the pooler hand its sessions around, until the test ends.
func keepBusy(t *testing.T, url string) {
	t.Helper()
	conn := pgtest.Connect(t, url)
	ctx, cancel := context.WithCancel(context.Background())
	var busy sync.WaitGroup
	busy.Go(func() {
		for ctx.Err() == nil {
			_, _ = conn.Exec(ctx, "select pg_sleep(0.002)", pgx.QueryExecModeSimpleProtocol)
		}
	})
	t.Cleanup(func() {
		cancel()
		busy.Wait()
	})
}

func TestSessionPoolerHandsOver(t *testing.T) {
	t.Parallel()
	through := pool(t, pgtest.Database(t), "pool_mode = session")
	first := setup(t, through)
	term := pgtest.Within(t, "first leader", first.leading)
	second := setup(t, through)
	pgtest.Eventually(t, "second to stand by", func() bool { return second.elector.Status().Role == election.Standby })

	stopped := time.Now()
	first.stop()
	next := pgtest.Within(t, "second leader", second.leading)
	if took := time.Since(stopped); took > tardy {
		t.Errorf("the planned handover took %s", took)
	}
	if next.Number != term.Number+1 {
		t.Errorf("term %d follows %d", next.Number, term.Number)
	}
	if err := pgtest.Within(t, "first to end", first.ended); err != nil {
		t.Errorf("planned stop: %v", err)
	}
	first.ended <- nil
}

// When the client of a pooler is gone, the server's session is not: the pooler keeps it for the next client, and frees
// the lock by the DISCARD ALL with which it resets the session.
func TestSessionPoolerFreesTheLockOfAKilledLeader(t *testing.T) {
	t.Parallel()
	through := pool(t, pgtest.Database(t), "pool_mode = session")
	// far beyond what the test waits
	first, abort := setupKillable(t, through, func(o *election.Options) { o.Lease = time.Minute })
	pgtest.Within(t, "first leader", first.leading)
	second := setup(t, through, func(o *election.Options) { o.Lease = time.Minute })
	pgtest.Eventually(t, "second to stand by", func() bool { return second.elector.Status().Role == election.Standby })

	killed := time.Now()
	abort()
	pgtest.Within(t, "second leader", second.leading)
	t.Logf("takeover through the pooler took %s", time.Since(killed))
	if err := pgtest.Within(t, "first to end", first.ended); !errors.Is(err, election.ErrLost) {
		t.Errorf("Run returned %v, want ErrLost", err)
	}
	first.ended <- nil
}

// A pooler that is told not to reset sessions keeps that of a dead leader, with its lock. But the leader told the
// server to end it when it is silent for the lease, and that still holds.
func TestSessionPoolerWithoutResetCostsALease(t *testing.T) {
	t.Parallel()
	through := pool(t, pgtest.Database(t), "pool_mode = session", "server_reset_query =")
	first, abort := setupKillable(t, through, briefly)
	pgtest.Within(t, "first leader", first.leading)
	second := setup(t, through, briefly)
	pgtest.Eventually(t, "second to stand by", func() bool { return second.elector.Status().Role == election.Standby })

	killed := time.Now()
	abort()
	pgtest.Within(t, "second leader", second.leading)
	if took := time.Since(killed); took > brief+tardy {
		t.Errorf("the takeover took %s, want about the lease, %s", took, brief)
	}
	pgtest.Within(t, "first to end", first.ended)
	first.ended <- nil
}

// setupKillable is setup with a function that closes the replica's connection without a farewell, as the kernel does
// for a process that was killed.
func setupKillable(t *testing.T, url string, change func(*election.Options)) (r *replica, abort func()) {
	t.Helper()
	var (
		mu   sync.Mutex // guards last
		last net.Conn
	)
	r = setup(t, url, change, func(o *election.Options) {
		dial := o.Config.DialFunc
		o.Config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(ctx, network, address)
			mu.Lock()
			defer mu.Unlock()
			last = conn
			return conn, err
		}
	})
	return r, func() {
		mu.Lock()
		defer mu.Unlock()
		_ = last.Close()
	}
}

// The server's limit on silence works through a pooler in session mode: it ends the session while the pooler still
// thinks that the client is there.
func TestPartitionFromASessionPooler(t *testing.T) {
	t.Parallel()
	through := pool(t, pgtest.Database(t), "pool_mode = session")
	proxy := serve(t, through)
	first := setup(t, proxy.url, briefly)
	pgtest.Within(t, "first leader", first.leading)
	second := setup(t, through, briefly)
	pgtest.Eventually(t, "standby", func() bool { return second.elector.Status().Role == election.Standby })

	cut := time.Now()
	proxy.partition()
	select {
	case cause := <-first.cause:
		if !errors.Is(cause, election.ErrLost) {
			t.Errorf("cause %v, want ErrLost", cause)
		}
	case <-second.leading:
		t.Fatal("two leaders: the second leads and the first has not stopped")
	}
	pgtest.Within(t, "second leader", second.leading)
	if took := time.Since(cut); took > brief+brief/5+tardy {
		t.Errorf("the takeover took %s, want about the lease, %s", took, brief)
	}
	pgtest.Within(t, "first to end", first.ended)
	first.ended <- nil
}
