package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// withoutPath are the functions in which names mean what the search_path of the session says. All that they name is
// qualified, and a search_path of their own would change what they are for.
var withoutPath = []string{
	"campaign",     // sets lock_timeout for the transaction of its caller
	"is_new",       // becomes a part of the statement that calls it
	"known_topics", // called for each event, and made anew for other topics
}

func TestFunctionsHaveASearchPath(t *testing.T) {
	const without = `select array_agg(proname::text order by proname) from pg_proc
		where pronamespace = 'pgsolo'::regnamespace
		and not coalesce(proconfig, '{}') @> '{"search_path=pg_catalog, pg_temp"}'`
	got := pgtest.Value[[]string](t, pgtest.Connect(t, pgtest.Database(t)), without)
	if diff := cmp.Diff(withoutPath, got); diff != "" {
		t.Errorf("functions without a search_path: -want +got\n%s", diff)
	}
}

// What a reader may see of a view, it shows: the reader's own function is called with no other row.
func TestViewsAreBarriers(t *testing.T) {
	conn := pgtest.Connect(t, pgtest.Database(t))
	const open = `select coalesce(string_agg(relname, ' '), '') from pg_class
		where relnamespace = 'pgsolo'::regnamespace
		and relkind = 'v' and not coalesce(reloptions, '{}') @> '{security_barrier=true}'`
	if got := pgtest.Value[string](t, conn, open); got != "" {
		t.Errorf("views without security_barrier: %s", got)
	}
	const letters = `insert into pgsolo.delivery
			(handler, event_id, topic, payload, headers, created_at, attempt, state, next_at, error)
		values ('h', 1, 't', '"dead"', '{}', now(), 1, 'dead', null, ''),
			('h', 2, 't', '"live"', '{}', now(), 1, 'retry', now(), '');
		create role reads_letters; grant usage on schema pgsolo to reads_letters;
		grant select on pgsolo.dead_letter to reads_letters; create schema reader authorization reads_letters;
		set role reads_letters; create table reader.seen (payload text);
		create function reader.leak(payload jsonb) returns boolean language plpgsql cost 0.0001 as
			$$ begin insert into reader.seen values (payload #>> '{}'); return true; end $$;
		select count(*) from pgsolo.dead_letter where reader.leak(payload);
		reset role`
	if _, err := conn.Exec(t.Context(), letters); err != nil {
		t.Fatal(err)
	}
	got := pgtest.Value[[]string](t, conn, `select array_agg(payload) from reader.seen`)
	if _, err := conn.Exec(t.Context(), `drop owned by reads_letters cascade; drop role reads_letters`); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"dead"}, got); diff != "" {
		t.Errorf("a function of the reader saw payloads: -want +got\n%s", diff)
	}
}
