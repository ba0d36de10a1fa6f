package election_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/election"
)

// terminateLock ends the session that holds the lock of an election.
func terminateLock(t *testing.T, url string) {
	t.Helper()
	if _, err := pgtest.Connect(t, url).Exec(t.Context(), `select pg_terminate_backend(pid) from pg_locks
		where locktype = 'advisory' and granted and classid = 'pgsolo.leader'::regclass
			and database = (select oid from pg_database where datname = current_database())`); err != nil {
		t.Fatal(err)
	}
}

// connectAs opens a session with a name, as a leader does.
func connectAs(t *testing.T, url, name string) *pgx.Conn {
	t.Helper()
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	config.RuntimeParams["application_name"] = name
	conn, err := pgx.ConnectConfig(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func TestSuccessorWaitsForThePredecessorsSessions(t *testing.T) {
	url := pgtest.Database(t)
	first := setup(t, url)
	term := pgtest.Within(t, "first leader", first.leading)
	working := connectAs(t, url, term.Session)
	second := setup(t, url, func(o *election.Options) { o.Lease = time.Minute })
	pgtest.Eventually(t, "standby", func() bool { return second.elector.Status().Role == election.Standby })

	terminateLock(t, url)
	pgtest.Within(t, "first to end", first.ended)
	first.ended <- nil
	observer := pgtest.Connect(t, url)
	pgtest.Eventually(t, "the second to hold the lock", func() (holds bool) {
		if err := observer.QueryRow(t.Context(), `select exists (select from pg_locks join pg_stat_activity using (pid)
			where locktype = 'advisory' and granted and classid = 'pgsolo.leader'::regclass
				and datname = current_database()
				and query like '%starts_with%')`).Scan(&holds); err != nil {
			t.Fatal(err)
		}
		return holds
	})
	select {
	case <-second.leading:
		t.Fatal("the successor leads while a session of the leader before lives")
	default:
	}
	working.Close(t.Context())
	pgtest.Within(t, "second leader", second.leading)
	wantHistory(t, url, "session lost", "")
}

func TestSuccessorEndsThePredecessorsSessionsAfterALease(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	first := setup(t, url, briefly)
	term := pgtest.Within(t, "first leader", first.leading)
	frozen := connectAs(t, url, term.Session)
	unrelated := []*pgx.Conn{
		connectAs(t, url, "pgsolo other term 1"), connectAs(t, url, "pgsolo main standby"),
		connectAs(t, url, "pgsolo x/main term 1"),
	}
	second := setup(t, url, briefly)
	pgtest.Eventually(t, "standby", func() bool { return second.elector.Status().Role == election.Standby })
	terminateLock(t, url)
	pgtest.Within(t, "second leader", second.leading)
	pgtest.Within(t, "first to end", first.ended)
	first.ended <- nil
	if err := frozen.Ping(t.Context()); err == nil {
		t.Error("a session of the leader before outlived the lease")
	}
	for _, conn := range unrelated {
		if err := conn.Ping(t.Context()); err != nil {
			t.Errorf("a session that is not the leader's was ended: %v", err)
		}
	}
	wantHistory(t, url, "fenced", "")
	if n := second.elector.Stats().Takeovers["fenced"].Count; n != 1 {
		t.Errorf("%d takeovers counted, want 1", n)
	}
}

func TestNothingIsWaitedForAfterAResignation(t *testing.T) {
	url := pgtest.Database(t)
	first := setup(t, url)
	term := pgtest.Within(t, "first leader", first.leading)
	connectAs(t, url, term.Session)
	second := setup(t, url, func(o *election.Options) { o.Lease = time.Minute })
	pgtest.Eventually(t, "standby", func() bool { return second.elector.Status().Role == election.Standby })
	first.stop()
	pgtest.Within(t, "second leader", second.leading)
	wantHistory(t, url, "resigned", "")
}

func TestStepDown(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	first := setup(t, url, briefly)
	term := pgtest.Within(t, "first leader", first.leading)
	second := setup(t, url, briefly)
	pgtest.Eventually(t, "standby", func() bool { return second.elector.Status().Role == election.Standby })
	asked, err := second.elector.StepDown(t.Context())
	if err != nil || asked != term.Number {
		t.Fatalf("StepDown: term %d, %v; want %d", asked, err, term.Number)
	}
	pgtest.Within(t, "second leader", second.leading)
	pgtest.Eventually(t, "first to stand by", func() bool { return first.elector.Status().Role == election.Standby })

	// By a role that may do just that.
	ops := pgtest.Connect(t, url)
	role := pgx.Identifier{"ops_of_" + ops.Config().Database}.Sanitize()
	if _, err := ops.Exec(t.Context(),
		`create role `+role+`; grant usage on schema pgsolo to `+role+`; set role `+role); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := connectAs(t, url, "").Exec(context.Background(),
			`drop owned by `+role+`; drop role `+role); err != nil {
			t.Error(err)
		}
	})
	const ask = `select pgsolo.step_down('main')`
	if _, err := ops.Exec(t.Context(), ask); err == nil {
		t.Error("a role without the right may ask the leader to step down")
	}
	if _, err := ops.Exec(t.Context(),
		`reset role; grant execute on function pgsolo.step_down to `+role+`; set role `+role+`; `+ask); err != nil {
		t.Fatal(err)
	}
	pgtest.Within(t, "first leader again", first.leading)
	wantHistory(t, url, "stepped down", "stepped down", "")
}

func TestStepDownNamesAnElectionThatDoesNotExist(t *testing.T) {
	t.Parallel()
	config, err := pgx.ParseConfig(pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	elector, err := election.New(election.Options{Config: config, Name: "mian"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := elector.StepDown(t.Context()); err == nil || !strings.Contains(err.Error(), `election "mian"`) {
		t.Errorf("StepDown: %v; want an error that names the election", err)
	}
}

func TestOnlyReplicaStepsDownAndLeadsAgain(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	r := setup(t, url, briefly)
	pgtest.Within(t, "leader", r.leading)
	if _, err := r.elector.StepDown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if next := pgtest.Within(t, "leader again", r.leading); next.Number != 2 {
		t.Errorf("term %d, want 2", next.Number)
	}
}
