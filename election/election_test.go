package election_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/election"
)

func TestOneLeadsAndHandsOver(t *testing.T) {
	url := pgtest.Database(t)
	first := setup(t, url)
	term := pgtest.Within(t, "first leader", first.leading)
	second := setup(t, url, func(o *election.Options) { o.Holder = "second" })
	pgtest.Eventually(t, "second to stand by", func() bool { return second.elector.Status().Role == election.Standby })
	if got := second.elector.Status().Term.Number; got != term.Number {
		t.Errorf("standby reports term %d, want %d", got, term.Number)
	}

	first.stop()
	if err := pgtest.Within(t, "first to end", first.ended); err != nil {
		t.Errorf("planned stop: %v", err)
	}
	first.ended <- nil
	next := pgtest.Within(t, "second leader", second.leading)
	if next.Number != term.Number+1 {
		t.Errorf("term %d follows %d", next.Number, term.Number)
	}
	status := second.elector.Status()
	if status.Role != election.Leader || status.Holder != "second" || status.SeenAt.IsZero() {
		t.Errorf("status of the leader: %+v", status)
	}
}

func TestTerminatedSessionIsSeenAtOnce(t *testing.T) {
	url := pgtest.Database(t)
	// no ping for 12 s: only the pending read can tell
	first := setup(t, url, func(o *election.Options) { o.Lease = time.Minute })
	term := pgtest.Within(t, "first leader", first.leading)
	second := setup(t, url)

	conn := pgtest.Connect(t, url)
	if _, err := conn.Exec(t.Context(), `select pg_terminate_backend(pid) from pg_locks
		where locktype = 'advisory' and granted
			and database = (select oid from pg_database where datname = current_database())`,
	); err != nil {
		t.Fatal(err)
	}
	select {
	case cause := <-first.cause:
		if !errors.Is(cause, election.ErrLost) {
			t.Errorf("cause %v, want ErrLost", cause)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the leader has not noticed the end of its session")
	}
	if err := pgtest.Within(t, "first to end", first.ended); !errors.Is(err, election.ErrLost) {
		t.Errorf("Run returned %v, want ErrLost", err)
	}
	first.ended <- nil
	if next := pgtest.Within(t, "second leader", second.leading); next.Number <= term.Number {
		t.Errorf("term %d follows %d", next.Number, term.Number)
	}
}

func TestStolenTermIsLost(t *testing.T) {
	url := pgtest.Database(t)
	r := setup(t, url, briefly)
	pgtest.Within(t, "leader", r.leading)
	if _, err := pgtest.Connect(t, url).Exec(t.Context(), `update pgsolo.leader set term = term + 1`); err != nil {
		t.Fatal(err)
	}
	if cause := pgtest.Within(t, "loss", r.cause); !errors.Is(cause, election.ErrLost) {
		t.Errorf("cause %v, want ErrLost", cause)
	}
	if err := pgtest.Within(t, "end", r.ended); !errors.Is(err, election.ErrLost) {
		t.Errorf("Run returned %v, want ErrLost", err)
	}
	r.ended <- nil
}

func TestUnlockedByOthersIsLost(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	server := serve(t, url)
	r := setup(t, server.url, func(o *election.Options) { o.Lease = 4 * brief }) // and a ping each four seconds
	pgtest.Within(t, "leader", r.leading)
	conn := pgtest.Connect(t, url)
	// The first ping is prepared before it is executed, and idle in between. So the pause is one after a later one.
	began := time.Now()
	pgtest.Eventually(t, "a pause between pings that has just begun", func() bool {
		return time.Since(began) > brief/2 && pgtest.Value[bool](t, conn, `select exists (select from pg_stat_activity
			where datname = current_database() and application_name like 'pgsolo % term %' and state = 'idle'
				and query like '%pg_locks%' and state_change > clock_timestamp() - interval '200 ms')`)
	})
	server.inject("select pg_advisory_unlock_all()") // as shared code on the same session would
	if cause := pgtest.Within(t, "loss", r.cause); !errors.Is(cause, election.ErrLost) ||
		!strings.Contains(cause.Error(), "no longer holds") {
		t.Errorf("cause %v, want that the lock is not held", cause)
	}
	pgtest.Within(t, "end", r.ended)
	r.ended <- nil
}

func TestDrain(t *testing.T) {
	const drain = 200 * time.Millisecond
	url := pgtest.Database(t)
	started, sawStopping, cause := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	var cancelled time.Time // before cause receives
	r := &replica{t: t, ended: make(chan error, 1)}
	r.start(url, func(ctx context.Context, term election.Term) error {
		close(started)
		<-term.Stopping
		close(sawStopping)
		<-ctx.Done()
		cancelled = time.Now()
		cause <- context.Cause(ctx)
		return nil
	}, func(o *election.Options) { o.Drain = drain })
	pgtest.Within(t, "leader", started)
	stopped := time.Now()
	r.stop()
	pgtest.Within(t, "stopping", sawStopping)
	if err := pgtest.Within(t, "end of the drain", cause); !errors.Is(err, context.Canceled) {
		t.Errorf("cause %v, want context.Canceled", err)
	}
	if lived := cancelled.Sub(stopped); lived < drain {
		t.Errorf("the context ended after %s, want it to live through the drain of %s", lived, drain)
	}
	if err := pgtest.Within(t, "end", r.ended); err != nil {
		t.Errorf("planned stop: %v", err)
	}
	r.ended <- nil
	var clean bool
	if err := pgtest.Connect(t, url).QueryRow(t.Context(),
		`select clean from pgsolo.leader`).Scan(&clean); err != nil || !clean {
		t.Errorf("clean = %v, %v; want true", clean, err)
	}
}

func TestLeadersErrorIsReturnedAndTheLockFreed(t *testing.T) {
	url := pgtest.Database(t)
	broken := errors.New("broken")
	r := &replica{t: t, ended: make(chan error, 1)}
	r.start(url, func(context.Context, election.Term) error { return broken })
	if err := pgtest.Within(t, "end", r.ended); !errors.Is(err, broken) {
		t.Errorf("Run returned %v, want %v", err, broken)
	}
	r.ended <- nil
	pgtest.Within(t, "next leader", setup(t, url).leading)
}

func TestIndependentElections(t *testing.T) {
	url := pgtest.Database(t)
	conn := pgtest.Connect(t, url)
	if err := election.Migrate(t.Context(), conn, "other"); err != nil {
		t.Fatal(err)
	}
	for _, change := range []func(*election.Options){
		func(o *election.Options) {},
		func(o *election.Options) { o.Name = "reports" },
		func(o *election.Options) { o.Schema = "other" },
	} {
		pgtest.Within(t, "leader", setup(t, url, change).leading)
	}
}

func TestHostileRoleSettings(t *testing.T) {
	url := pgtest.Database(t)
	conn := pgtest.Connect(t, url)
	for _, setting := range []string{
		"idle_session_timeout = '300ms'", "statement_timeout = '50ms'", "lock_timeout = '20ms'",
		"default_transaction_isolation = 'serializable'", "default_transaction_read_only = on",
	} {
		if _, err := conn.Exec(t.Context(), `do $$ begin
			execute format('alter role %I in database %I set `+strings.ReplaceAll(setting, "'", "''")+`',
				current_user, current_database());
			end $$`); err != nil {
			t.Fatal(err)
		}
	}
	first := setup(t, url)
	pgtest.Within(t, "leader", first.leading)
	second := setup(t, url)
	pgtest.Eventually(t, "standby", func() bool { return second.elector.Status().Role == election.Standby })
	first.stop()
	pgtest.Within(t, "successor", second.leading)
}

func TestRefused(t *testing.T) {
	url := pgtest.Database(t)
	r := setup(t, url, func(o *election.Options) { o.Schema = "absent" })
	if err := pgtest.Within(t, "refusal", r.ended); !errors.Is(err, election.ErrSchema) {
		t.Errorf("without the schema: %v, want ErrSchema", err)
	}
	r.ended <- nil

	r = setup(t, url, func(o *election.Options) { o.Config.Database = "absent" })
	if err := pgtest.Within(t, "refusal", r.ended); err == nil ||
		!strings.Contains(err.Error(), `database "absent" does not exist`) {
		t.Errorf("without the database: %v", err)
	}
	r.ended <- nil

	locked := true // a server that does not answer in time is no refusal
	r = setup(t, url, func(o *election.Options) {
		o.Check = func(ctx context.Context, conn *pgx.Conn) error {
			if locked {
				locked = false
				_, err := conn.Exec(ctx, `set statement_timeout = 1; select pg_sleep(1)`)
				return err
			}
			return nil
		}
	})
	pgtest.Within(t, "leader, at the second try", r.leading)
	r.stop()
	pgtest.Within(t, "end", r.ended)
	r.ended <- nil

	wrong := errors.New("not this database")
	r = setup(t, url, func(o *election.Options) { o.Check = func(context.Context, *pgx.Conn) error { return wrong } })
	if err := pgtest.Within(t, "refusal", r.ended); !errors.Is(err, wrong) {
		t.Errorf("refused by Check: %v", err)
	}
	r.ended <- nil
}

func TestOptions(t *testing.T) {
	config := setupConfig(t)
	for name, options := range map[string]election.Options{
		"Config":       {},
		"Lease":        {Config: config, Lease: time.Millisecond},
		"PollInterval": {Config: config, PollInterval: time.Second},
		"Drain":        {Config: config, Drain: -1},
		"Name":         {Config: config, Name: strings.Repeat("n", 25)},
		"Schema":       {Config: config, Schema: "Robert'); drop"},
	} {
		if _, err := election.New(options); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v does not name the field", name, err)
		}
	}
}
