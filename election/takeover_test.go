package election_test

import (
	"context"
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

type ending struct {
	Term  int64
	Ended *string
}

func history(t *testing.T, url string) []ending {
	t.Helper()
	rows, err := pgtest.Connect(t, url).Query(t.Context(), `select term, ended from pgsolo.leader_term order by term`)
	if err != nil {
		t.Fatal(err)
	}
	endings, err := pgx.CollectRows(rows, pgx.RowToStructByPos[ending])
	if err != nil {
		t.Fatal(err)
	}
	return endings
}

func wantHistory(t *testing.T, url string, want ...string) {
	t.Helper()
	got := history(t, url)
	if len(got) != len(want) {
		t.Fatalf("%d terms, want %d", len(got), len(want))
	}
	for i, w := range want {
		ended := ""
		if got[i].Ended != nil {
			ended = *got[i].Ended
		}
		if ended != w || got[i].Term != int64(i+1) {
			t.Errorf("term %d ended %q, want %q", got[i].Term, ended, w)
		}
	}
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
	first := setup(t, url)
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

func TestLeaderWithoutProgressIsReplaced(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	wedged := make(chan struct{})
	noProgress := context.DeadlineExceeded
	first := setup(t, url, briefly, func(o *election.Options) {
		o.Healthy = func() error {
			select {
			case <-wedged:
				return noProgress
			default:
				return nil
			}
		}
	})
	term := pgtest.Within(t, "first leader", first.leading)
	if !term.Held() {
		t.Error("a leader does not hold its term")
	}
	close(wedged)
	pgtest.Within(t, "loss", first.cause)
	if term.Held() {
		t.Error("a leader that has lost holds its term")
	}
	pgtest.Within(t, "end", first.ended)
	first.ended <- nil
	if n := first.elector.Stats().Lost["no progress"]; n != 1 {
		t.Errorf("%d losses counted, want 1: %v", n, first.elector.Stats().Lost)
	}
}

func TestLeadershipsSpread(t *testing.T) {
	url := pgtest.Database(t)
	names := []string{"a", "b", "c"}
	// Another session has the locks until all wait for them: a process that leads already yields to those that wait,
	// not to those still to come.
	conn := pgtest.Connect(t, url)
	for _, sql := range []string{
		`insert into pgsolo.leader (election) values ('a'), ('b'), ('c')`,
		`select pg_advisory_lock('pgsolo.leader'::regclass::oid::int, lock_id) from pgsolo.leader`,
	} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	held := make([]chan string, 3) // by process: elections that it leads
	for i := range held {
		held[i] = make(chan string, 10)
		group := &election.Group{}
		for _, name := range names {
			r := &replica{t: t, ended: make(chan error, 1)}
			r.start(url, func(_ context.Context, term election.Term) error {
				held[i] <- name
				<-term.Stopping
				return nil
			}, func(o *election.Options) { o.Name, o.Group, o.Holder = name, group, string(rune('0'+i)) })
		}
	}
	pgtest.Eventually(t, "all to queue", func() bool {
		return pgtest.Value[int](t, conn, `select count(*) from pg_locks where locktype = 'advisory' and not granted
			and database = (select oid from pg_database where datname = current_database())`) == len(held)*len(names)
	})
	if _, err := conn.Exec(t.Context(), `select pg_advisory_unlock_all()`); err != nil {
		t.Fatal(err)
	}
	for i := range held {
		pgtest.Within(t, "a leadership for each process", held[i])
	}
	for i := range held {
		if len(held[i]) > 0 {
			t.Errorf("process %d leads more than one of three elections", i)
		}
	}
}

func TestOneProcessLeadsAllElectionsIfItIsAlone(t *testing.T) {
	url := pgtest.Database(t)
	group := &election.Group{}
	for _, name := range []string{"a", "b"} {
		pgtest.Within(t, "leader of "+name, setup(t, url, func(o *election.Options) { o.Name, o.Group = name, group }).leading)
	}
}

func TestHistoryIsPrunedAndReadable(t *testing.T) {
	url := pgtest.Database(t)
	conn := pgtest.Connect(t, url)
	if _, err := conn.Exec(t.Context(), `insert into pgsolo.leader (election, term) values ('main', 1500);
		insert into pgsolo.leader_term select 'main', 1, n, 'h', '', now(), now(), 'resigned'
			from generate_series(1, 1500) n`); err != nil {
		t.Fatal(err)
	}
	pgtest.Within(t, "leader", setup(t, url, func(o *election.Options) { o.Holder = "me" }).leading)
	var (
		terms         int
		holder, ended string
	)
	if err := conn.QueryRow(t.Context(), `select count(*) from pgsolo.leader_term`).Scan(&terms); err != nil {
		t.Fatal(err)
	}
	if terms != 1000 {
		t.Errorf("%d terms are kept, want 1000", terms)
	}
	if err := conn.QueryRow(t.Context(), `select holder, ended from pgsolo.leadership limit 1`).
		Scan(&holder, &ended); err != nil {
		t.Fatal(err)
	}
	if holder != "me" || ended != "has not ended, as far as is known" {
		t.Errorf("newest row of the view: %q, %q", holder, ended)
	}
}
