package emit

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
)

const (
	grantEmit   = `grant execute on function pgsolo.emit to {role}`
	grantInsert = `grant insert on pgsolo.event to {role}; grant usage on sequence pgsolo.event_id_seq to {role}`
)

// A producer needs no more than these grants, whether a leader wants to be rung or not, and where topics are checked.
func TestEmitNeedsFewGrants(t *testing.T) {
	pool := jobstest.Pool(t)
	jobstest.MustExec(t, pool, `select pgsolo.know('main', '{t}')`)
	emit, _ := jobstest.SessionOf(t, pool, grantEmit)
	insert, _ := jobstest.SessionOf(t, pool, grantInsert)
	none, _ := jobstest.SessionOf(t, pool)
	for _, armed := range []bool{true, false} {
		jobstest.MustExec(t, pool, `select pgsolo.arm('main', $1, 1)`, armed)
		newEvent(t, emit, Event{Topic: "t", DedupKey: fmt.Sprint(armed)})
		jobstest.MustExec(t, insert, `insert into pgsolo.event (topic, payload) values ('t', '1')`)
		if err := (Producer{}).EmitAll(t.Context(), insert, []Event{{Topic: "t"}, {Topic: "t"}}); err != nil {
			t.Error(err)
		}
	}
	if n := pgtest.Value[int](t, pool, `select count(*) from pgsolo.event`); n != 8 {
		t.Errorf("%d events, want 8", n)
	}
	for who, conn := range map[string]*pgx.Conn{
		"who may emit": emit, "who may insert": insert, "who may nothing": none,
	} {
		for sql, allowed := range map[string]bool{
			`select pgsolo.emit('t')`: conn == emit, `insert into pgsolo.event (topic) values ('t')`: conn == insert,
			`select count(*) from pgsolo.event`: false, `delete from pgsolo.event`: false,
			`select * from pgsolo.dedup`: false, `select pgsolo.know('x', null)`: false,
			`select pgsolo.arm('x', true, 1)`: false, `select setval('pgsolo.doorbell_armed', 2)`: false,
			`select pgsolo.replay('h')`: false, `select pgsolo.discard('h')`: false,
			`select pgsolo.ring_for_retry(1)`: false,
		} {
			if _, err := conn.Exec(t.Context(), sql); (err == nil) != allowed {
				t.Errorf("%s: %s: %v, want it allowed: %t", who, sql, err, allowed)
			}
		}
	}
}

// A leader need not be the owner to say which topics there are. A role that may insert needs no grant on the functions
// of the triggers, even where new functions are not granted to public.
func TestTopicGrants(t *testing.T) {
	pool := jobstest.Pool(t)
	jobstest.MustExec(t, pool, `alter default privileges revoke execute on functions from public`)
	if err := jobs.Migrate(t.Context(), jobstest.OwnSession(t, pool), "strict"); err != nil {
		t.Fatal(err)
	}
	leader, _ := jobstest.SessionOf(t, pool, `grant usage on schema strict to {role}`,
		`grant execute on function strict.know, strict.arm to {role}`,
		`grant select, insert, update on strict.doorbell to {role}`,
		`grant update on sequence strict.doorbell_armed to {role}`)
	jobstest.MustExec(t, leader, `select strict.know('main', '{t}'), strict.arm('main', true, 1)`)
	producer, _ := jobstest.SessionOf(t, pool, `grant usage on schema strict to {role}`,
		strings.ReplaceAll(grantInsert, "pgsolo.", "strict."))
	jobstest.MustExec(t, producer, `insert into strict.event (topic) values ('t')`)
	_, err := producer.Exec(t.Context(), `insert into strict.event (topic) values ('x')`)
	if !errors.Is(refusal(err), ErrUnknownTopic) {
		t.Errorf("got %v, want the topic to be unknown", err)
	}
}

// The owner's functions use nothing that a caller could have put in its search_path.
func TestEmitAndDeadLettersIgnoreTheCallersSearchPath(t *testing.T) {
	pool := jobstest.Pool(t)
	jobstest.MustExec(t, pool, `select pgsolo.know('main', '{t}'), pgsolo.arm('main', true, 1)`)
	conn, role := jobstest.SessionOf(t, pool, grantEmit,
		`grant execute on function pgsolo.replay, pgsolo.discard to {role}`,
		`create schema evil authorization {role}`)
	jobstest.MustExec(t, conn, `create table evil.trap (who text);
		grant insert on evil.trap to public; grant usage on schema evil to public;
		create temp table dedup (topic text); create temp table event (topic text);
		create temp table delivery (state text)`)
	for _, function := range []string{
		"clock_timestamp() returns timestamptz", "pg_notify(text, text) returns integer",
		"current_setting(text, boolean) returns text", "array_to_string(text[], text) returns text",
		"known_topics() returns text[]", "le(timestamptz, timestamptz) returns boolean",
		"plus(timestamptz, interval) returns timestamptz", "lt(interval, interval) returns boolean",
		"eq(text, text) returns boolean", "eq8(bigint, bigint) returns boolean",
		"likes(text, text) returns boolean", "gt(bigint, integer) returns boolean",
	} {
		jobstest.MustExec(t, conn, `create function evil.`+function+` language plpgsql as $$
			begin
				insert into evil.trap values (current_user);
				return null;
			end $$`)
	}
	jobstest.MustExec(t, conn, `
		create operator evil.<= (leftarg = timestamptz, rightarg = timestamptz, function = evil.le);
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
	jobstest.MustExec(t, pool, `insert into pgsolo.delivery
			(handler, event_id, topic, payload, headers, created_at, attempt, state, error)
		values ('h', 1, 't', '1', '{}', now(), 1, 'dead', 'x'), ('h', 2, 't', '1', '{}', now(), 1, 'dead', 'x')`)
	for _, sql := range []string{
		`select pgsolo.replay('h', 1, now(), 'x%')`, `select pgsolo.discard('h', 2, now(), 'x%')`,
	} {
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
