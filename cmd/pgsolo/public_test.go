package main

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// forEveryRole are the functions that run with the owner's privileges, and that each role with a session may execute
// which may use the schema. They change nothing, and tell nothing that stands in an event or a configuration.
var forEveryRole = []string{
	"cursor_owner", // whose a handler is, and whether that election is led
	"has_left",
	"highest_term",
	"is_declared",
	"is_led",
	"is_retired",
	"log_counter", // the numbers of the server, the database and the sequence
	"max_payload",
	"may_be_led",
	"was_in_job",
}

// A function that runs with the owner's privileges is everybody's unless it is revoked: PostgreSQL grants it to public.
func TestFunctionsOfEveryRole(t *testing.T) {
	const all = `select array_agg(p.proname || case when p.prorettype = 'trigger'::regtype then ' trigger' else '' end
			|| case p.provolatile when 'v' then ' may write' else '' end order by p.proname)
		from pg_proc p cross join aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
		where p.pronamespace = 'pgsolo'::regnamespace and p.prosecdef and a.grantee = 0`
	got := pgtest.Value[[]string](t, pgtest.Connect(t, pgtest.Database(t)), all)
	slices.Sort(got)
	if diff := cmp.Diff(forEveryRole, got); diff != "" {
		t.Errorf("functions that every role may execute: -want +got\n%s", diff)
	}
}
