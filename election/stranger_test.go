package election_test

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/election"
)

// stranger opens a session of a role that may do nothing but log in, and calls it as a leader calls its own.
func stranger(t *testing.T, at string) *pgx.Conn {
	t.Helper()
	conn := pgtest.Connect(t, asRole(t, at, "stranger", ""))
	if _, err := conn.Exec(t.Context(), `set application_name = 'pgsolo main term 999'`); err != nil {
		t.Fatal(err)
	}
	return conn
}

// asRole makes a role that may log in, with grants in which {role} is its name, and returns the URL with it.
func asRole(t *testing.T, at, name, grants string) string {
	t.Helper()
	owner := pgtest.Connect(t, at)
	role := name + pgtest.Value[string](t, owner, `select '_' || left(md5(current_database()), 8)`)
	create := strings.ReplaceAll(`create role {role} login; `+grants, "{role}", role)
	if _, err := owner.Exec(t.Context(), create); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = owner.Exec(context.Background(), strings.ReplaceAll(
			`select pg_terminate_backend(pid, 10000) from pg_stat_activity where usename = '{role}';
			drop owned by {role}; drop role {role}`, "{role}", role))
	})
	to, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	to.User = url.User(role)
	return to.String()
}

// A role that may do nothing but log in can take the lock of an election, and give its session the name of a leader's.
// It is named, with the remedy, in the log and in the status.
func TestStrangerWithTheNameOfALeader(t *testing.T) {
	t.Parallel()
	at := pgtest.Database(t)
	owner, foreign := pgtest.Connect(t, at), stranger(t, at)
	id := pgtest.Value[int](t, owner, `insert into pgsolo.leader (election) values ('main') returning lock_id`)
	const lock = `select pg_advisory_lock($1::oid::int, $2)`
	class := pgtest.Value[uint32](t, owner, `select 'pgsolo.leader'::regclass::oid`)
	if _, err := foreign.Exec(t.Context(), lock, class, id); err != nil {
		t.Fatal(err)
	}
	log := &pgtest.Buffer{}
	r := setup(t, at, logged(log))
	pgtest.Eventually(t, "the status to name it", func() bool {
		denied := r.elector.Status().Denied
		return strings.Contains(denied, `role "stranger_`) && strings.Contains(denied, "pgsolo main term 999") &&
			strings.Contains(denied, "pg_terminate_backend(")
	})
	if role := r.elector.Status().Role; role != election.Outside {
		t.Errorf("behind a stranger it is %s", role)
	}
	if n := strings.Count(log.String(), complaint); n != 1 || !strings.Contains(log.String(), "role=stranger_") {
		t.Errorf("%d lines name the stranger:\n%s", n, log)
	}
	foreign.Close(t.Context())
	pgtest.Within(t, "leader", r.leading)
	if denied := r.elector.Status().Denied; denied != "" {
		t.Errorf("the leader is denied: %s", denied)
	}
}

// It can take the lock under which terms begin: they begin without it, and one after the other.
func TestStrangerWithTheLockOfTheTerms(t *testing.T) {
	t.Parallel()
	at := pgtest.Database(t)
	owner, foreign := pgtest.Connect(t, at), stranger(t, at)
	class := pgtest.Value[uint32](t, owner, `select 'pgsolo.leader'::regclass::oid`)
	if _, err := foreign.Exec(t.Context(), `select pg_advisory_lock($1::oid::int, 0)`, class); err != nil {
		t.Fatal(err)
	}
	log := &pgtest.Buffer{}
	terms := map[int64]bool{}
	var all []*replica
	for _, name := range []string{"main", "second", "third"} {
		all = append(all, setup(t, at, logged(log), func(o *election.Options) { o.Name = name }))
	}
	for _, r := range all {
		terms[pgtest.Within(t, "leader", r.leading).Number] = true
	}
	if len(terms) != len(all) {
		t.Errorf("terms %v", terms)
	}
	if !strings.Contains(log.String(), "another application holds the lock under which terms begin") ||
		!strings.Contains(log.String(), "role=stranger_") {
		t.Errorf("the stranger is not named:\n%s", log)
	}
}

// A session of it with a leader's name is nobody's predecessor: a takeover does not wait for it, and leaves it alone.
func TestStrangerWithTheNameOfAPredecessor(t *testing.T) {
	t.Parallel()
	at := pgtest.Database(t)
	owner, foreign := pgtest.Connect(t, at), stranger(t, at)
	first := setup(t, at)
	term := pgtest.Within(t, "leader", first.leading)
	second := setup(t, at)
	pgtest.Eventually(t, "standby", func() bool { return second.elector.Status().Role == election.Standby })
	began := time.Now()
	if _, err := owner.Exec(t.Context(), `select pg_terminate_backend(pid) from pg_stat_activity
		where application_name = $1 and usename = current_user and datname = current_database()`,
		term.Session); err != nil {
		t.Fatal(err)
	}
	pgtest.Within(t, "successor", second.leading)
	if took := time.Since(began); took > calm/2 {
		t.Errorf("the takeover took %s", took)
	}
	if err := foreign.Ping(t.Context()); err != nil {
		t.Errorf("the session of somebody else: %v", err)
	}
	pgtest.Within(t, "the end of the first", first.ended)
	first.ended <- nil
}

// A role that has to set another one to lead is none: its session leads for a standby.
func TestLeaderThatSetsItsRole(t *testing.T) {
	t.Parallel()
	at := pgtest.Database(t)
	leads := asRole(t, at, "leads", `grant usage on schema pgsolo to {role};
		grant select, insert, update, delete on all tables in schema pgsolo to {role}`)
	parsed, err := url.Parse(leads)
	if err != nil {
		t.Fatal(err)
	}
	member := asRole(t, at, "member", `alter role {role} noinherit; grant `+parsed.User.Username()+` to {role}`)
	sets := func(o *election.Options) { o.Config.RuntimeParams["role"] = parsed.User.Username() }
	log := &pgtest.Buffer{}
	pgtest.Within(t, "leader", setup(t, member, sets).leading)
	standby := setup(t, member, sets, logged(log))
	pgtest.Eventually(t, "standby", func() bool { return standby.elector.Status().Role == election.Standby })
	before := standby.elector.Status().SeenAt
	pgtest.Eventually(t, "more polls",
		func() bool { return standby.elector.Status().SeenAt.Sub(before) > 500*time.Millisecond })
	if strings.Contains(log.String(), complaint) {
		t.Errorf("it takes the leader for somebody else:\n%s", log)
	}
}
