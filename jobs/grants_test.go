package jobs

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// sessionOf opens a session of a role that may use the schema and has these grants, until the test ends. {role} in a grant is it.
func sessionOf(t testing.TB, pool *pgxpool.Pool, grants ...string) (conn *pgx.Conn, role string) {
	t.Helper()
	role = fmt.Sprintf("r%x", sha256.Sum256([]byte(pgtest.Value[string](t, pool, `select current_database()||clock_timestamp()`))))[:30]
	mustExec(t, pool, `create role `+role)
	t.Cleanup(func() {
		if _, err := pool.Exec(context.Background(), `drop owned by `+role+` cascade; drop role `+role); err != nil {
			t.Error(err)
		}
	})
	for _, grant := range append([]string{`grant usage on schema pgsolo to {role}`}, grants...) {
		mustExec(t, pool, strings.ReplaceAll(grant, "{role}", role))
	}
	conn = ownSession(t, pool)
	mustExec(t, conn, `set role `+role)
	return conn, role
}

const (
	grantEmit   = `grant execute on function pgsolo.emit to {role}`
	grantInsert = `grant insert on pgsolo.event to {role}; grant usage on sequence pgsolo.event_id_seq to {role}`
)

// Whether some leader wants to be rung or not, and where topics are checked, a producer needs no more than these grants.
func TestEmitNeedsFewGrants(t *testing.T) {
	pool := setup(t)
	mustExec(t, pool, `select pgsolo.know('main', '{t}')`)
	emit, _ := sessionOf(t, pool, grantEmit)
	insert, _ := sessionOf(t, pool, grantInsert)
	none, _ := sessionOf(t, pool)
	for _, armed := range []bool{true, false} {
		mustExec(t, pool, `select pgsolo.arm('main', $1, 1)`, armed)
		newEvent(t, emit, NewEvent{Topic: "t", DedupKey: fmt.Sprint(armed)})
		mustExec(t, insert, `insert into pgsolo.event (topic, payload) values ('t', '1')`)
		if err := (Producer{}).EmitAll(t.Context(), insert, []NewEvent{{Topic: "t"}, {Topic: "t"}}); err != nil {
			t.Error(err)
		}
	}
	if n := pgtest.Value[int](t, pool, `select count(*) from pgsolo.event`); n != 8 {
		t.Errorf("%d events, want 8", n)
	}
	for who, conn := range map[string]*pgx.Conn{"who may emit": emit, "who may insert": insert, "who may nothing": none} {
		for sql, allowed := range map[string]bool{
			`select pgsolo.emit('t')`: conn == emit, `insert into pgsolo.event (topic) values ('t')`: conn == insert,
			`select count(*) from pgsolo.event`: false, `delete from pgsolo.event`: false, `select * from pgsolo.dedup`: false,
			`select pgsolo.know('x', null)`: false, `select pgsolo.arm('x', true, 1)`: false,
			`select setval('pgsolo.doorbell_armed', 2)`: false, `select pgsolo.replay('h')`: false,
			`select pgsolo.discard('h')`: false, `select pgsolo.ring_for_retry(1)`: false,
		} {
			if _, err := conn.Exec(t.Context(), sql); (err == nil) != allowed {
				t.Errorf("%s: %s: %v, want it allowed: %t", who, sql, err, allowed)
			}
		}
	}
}

// A leader need not be the owner to say which topics there are. And where new functions are granted to nobody, who may insert
// needs no grant on those of the triggers.
func TestTopicGrants(t *testing.T) {
	pool := setup(t)
	mustExec(t, pool, `alter default privileges revoke execute on functions from public`)
	if err := Migrate(t.Context(), ownSession(t, pool), "strict"); err != nil {
		t.Fatal(err)
	}
	leader, _ := sessionOf(t, pool, `grant usage on schema strict to {role}`,
		`grant execute on function strict.know, strict.arm to {role}`,
		`grant select, insert, update on strict.doorbell to {role}; grant update on sequence strict.doorbell_armed to {role}`)
	mustExec(t, leader, `select strict.know('main', '{t}'), strict.arm('main', true, 1)`)
	producer, _ := sessionOf(t, pool, `grant usage on schema strict to {role}`, strings.ReplaceAll(grantInsert, "pgsolo.", "strict."))
	mustExec(t, producer, `insert into strict.event (topic) values ('t')`)
	_, err := producer.Exec(t.Context(), `insert into strict.event (topic) values ('x')`)
	if !errors.Is(refusal(err), ErrUnknownTopic) {
		t.Errorf("got %v, want the topic to be unknown", err)
	}
}

// Who looks at handlers and dead letters, or changes these, needs a grant on just that.
func TestDeadLetterGrants(t *testing.T) {
	pool := setup(t)
	giveUp(t, pool, "h", "1", "2")
	mustExec(t, pool, `insert into pgsolo.cursor (handler, done, term) values ('h', '{[1,4)}', 1), ('idle', '{}', 1)`)
	handlers := func() string {
		t.Helper()
		reader, _ := sessionOf(t, pool, `grant select on pgsolo.handler, pgsolo.dead_letter to {role}`)
		if _, err := (DeadLetters{}).List(t.Context(), reader, DeadLetterFilter{}, DeadLetterPage{}); err != nil {
			t.Error(err)
		}
		if _, err := (DeadLetters{}).Get(t.Context(), reader, "h", 1); err != nil {
			t.Error(err)
		}
		if _, err := (DeadLetters{}).Discard(t.Context(), reader, DeadLetterFilter{All: true}); err == nil {
			t.Error("a reader could discard")
		}
		return pgtest.Value[string](t, reader, `select string_agg(concat_ws(' ', handler, unfinished, waiting, dead), ', ' order by handler)
			from pgsolo.handler`)
	}
	if got := handlers(); got != "h 0 0 2, idle 0 0 0" {
		t.Errorf("before the first event: %s", got)
	}
	for range 5 {
		newEvent(t, pool, NewEvent{Topic: "t"})
	}
	if got := handlers(); got != "h 2 0 2, idle 5 0 0" {
		t.Errorf("after five: %s", got)
	}
	operator, _ := sessionOf(t, pool, `grant execute on function pgsolo.replay, pgsolo.discard to {role}`)
	if n, err := (DeadLetters{}).Replay(t.Context(), operator, DeadLetterFilter{Handler: "h", EventID: 1}); n != 1 || err != nil {
		t.Errorf("replayed %d, %v", n, err)
	}
	if n, err := (DeadLetters{}).Discard(t.Context(), operator, DeadLetterFilter{All: true}); n != 1 || err != nil {
		t.Errorf("discarded %d, %v", n, err)
	}
}

// The owner's functions use nothing that a caller could have put in its search_path.
func TestEmitAndDeadLettersIgnoreTheCallersSearchPath(t *testing.T) {
	pool := setup(t)
	mustExec(t, pool, `select pgsolo.know('main', '{t}'), pgsolo.arm('main', true, 1)`)
	conn, role := sessionOf(t, pool, grantEmit, `grant execute on function pgsolo.replay, pgsolo.discard to {role}`,
		`create schema evil authorization {role}`)
	mustExec(t, conn, `create table evil.trap (who text);
		grant insert on evil.trap to public; grant usage on schema evil to public;
		create temp table dedup (topic text); create temp table event (topic text); create temp table delivery (state text)`)
	for _, function := range []string{
		"clock_timestamp() returns timestamptz", "pg_notify(text, text) returns integer", "current_setting(text, boolean) returns text",
		"array_to_string(text[], text) returns text", "known_topics() returns text[]",
		"le(timestamptz, timestamptz) returns boolean",
		"plus(timestamptz, interval) returns timestamptz", "lt(interval, interval) returns boolean", "eq(text, text) returns boolean",
		"eq8(bigint, bigint) returns boolean", "likes(text, text) returns boolean", "gt(bigint, integer) returns boolean",
	} {
		mustExec(t, conn, `create function evil.`+function+` language plpgsql as $$
			begin
				insert into evil.trap values (current_user);
				return null;
			end $$`)
	}
	mustExec(t, conn, `create operator evil.<= (leftarg = timestamptz, rightarg = timestamptz, function = evil.le);
		create operator evil.+ (leftarg = timestamptz, rightarg = interval, function = evil.plus);
		create operator evil.< (leftarg = interval, rightarg = interval, function = evil.lt);
		create operator evil.= (leftarg = text, rightarg = text, function = evil.eq);
		create operator evil.= (leftarg = bigint, rightarg = bigint, function = evil.eq8);
		create operator evil.~~ (leftarg = text, rightarg = text, function = evil.likes);
		create operator evil.> (leftarg = bigint, rightarg = integer, function = evil.gt);
		set search_path = evil, pg_temp, pg_catalog`)
	for range 2 {
		if _, err := conn.Exec(t.Context(), `select pgsolo.emit('t', dedup_key => 'k')`); err != nil {
			t.Error(err)
		}
	}
	mustExec(t, pool, `insert into pgsolo.delivery (handler, event_id, topic, payload, headers, created_at, attempt, state, error)
		values ('h', 1, 't', '1', '{}', now(), 1, 'dead', 'x'), ('h', 2, 't', '1', '{}', now(), 1, 'dead', 'x')`)
	for _, sql := range []string{`select pgsolo.replay('h', 1, now(), 'x%')`, `select pgsolo.discard('h', 2, now(), 'x%')`} {
		var n int
		if err := conn.QueryRow(t.Context(), sql).Scan(&n); err != nil || n != 1 {
			t.Errorf("%s: %d, %v, want 1", sql, n, err)
		}
	}
	if _, err := conn.Exec(t.Context(), `select pgsolo.emit('unknown')`); err == nil {
		t.Error("an unknown topic was accepted")
	}
	if n := pgtest.Value[int](t, pool, `select count(*) from evil.trap where who <> $1`, role); n != 0 {
		t.Errorf("%d times, the caller's functions ran as the owner", n)
	}
	if n := pgtest.Value[int](t, pool, `select count(*) from pgsolo.event`); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
}
