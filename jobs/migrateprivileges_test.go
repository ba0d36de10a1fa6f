package jobs

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

const (
	withoutPrivileges = `update pg_proc set proacl = null where pronamespace = 'pgsolo'::regnamespace;
		update pg_class set relacl = null where relnamespace = 'pgsolo'::regnamespace;`

	mayEmit = `select has_function_privilege('public', 'pgsolo.emit'::regproc, 'execute')`

	everybodyMay = `select array_agg(what order by what) from (
		select 'call ' || oid::regprocedure as what from pg_proc
		where pronamespace = 'pgsolo'::regnamespace and has_function_privilege('public', oid, 'execute')
			and prorettype <> 'trigger'::regtype -- which nobody calls
		union all
		select 'read ' || relname from pg_class
		where relnamespace = 'pgsolo'::regnamespace and relkind in ('r', 'v', 'S')
			and case when relkind = 'S' then has_sequence_privilege('public', oid, 'select')
				else has_table_privilege('public', oid, 'select') end) m`
)

// Each migration sets right what everybody may do, and leaves what somebody has granted.
func TestMigrateSetsPrivilegesRight(t *testing.T) {
	conn := pgtest.Connect(t, pgtest.Database(t))
	if err := Migrate(t.Context(), conn, DefaultSchema); err != nil {
		t.Fatal(err)
	}
	role(t, conn, "pgsolo_operates")
	mayReplay := func() bool {
		return pgtest.Value[bool](t, conn,
			`select bool_or(has_function_privilege('pgsolo_operates', oid, 'execute')) from pg_proc
			where pronamespace = 'pgsolo'::regnamespace and proname = 'replay'`)
	}
	right := pgtest.Value[[]string](t, conn, everybodyMay)
	for _, test := range []struct {
		name, sql string
		emit      bool // stays everybody's
		replay    bool // stays the operator's
	}{
		{name: "a restore without privileges", sql: withoutPrivileges},
		{name: "a restore, and grants", replay: true, sql: withoutPrivileges +
			`grant execute on function pgsolo.replay, pgsolo.emit, pgsolo.know to pgsolo_operates`},
		{name: "default privileges", replay: true, sql: withoutPrivileges +
			`grant execute on all functions in schema pgsolo to public, pgsolo_operates`},
		{name: "default privileges that give nothing", sql: withoutPrivileges +
			`revoke execute on all functions in schema pgsolo from public;
			grant select on pgsolo.log to pgsolo_operates`},
		{name: "one function made anew",
			sql: `update pg_proc set proacl = null where oid = 'pgsolo.left_topics'::regproc`},
		{name: "nothing lost", emit: true, replay: true, sql: `grant execute on function pgsolo.emit to public;
			grant execute on function pgsolo.replay to pgsolo_operates`},
	} {
		t.Run(test.name, func(t *testing.T) {
			exec(t, conn, test.sql)
			if err := Migrate(t.Context(), conn, DefaultSchema); err != nil {
				t.Fatal(err)
			}
			if pgtest.Value[bool](t, conn, mayEmit) != test.emit {
				t.Errorf("everybody may emit: %t", !test.emit)
			}
			exec(t, conn, `revoke execute on function pgsolo.emit from public`)
			if diff := cmp.Diff(right, pgtest.Value[[]string](t, conn, everybodyMay)); diff != "" {
				t.Errorf("everybody may do something else: (-want +got)\n%s", diff)
			}
			if mayReplay() != test.replay {
				t.Errorf("the operator may replay: %t", mayReplay())
			}
			exec(t, conn, `revoke execute on all functions in schema pgsolo from pgsolo_operates`)
		})
	}
}

// A role that cannot set it right says whose matter that is.
func TestMigrateMayNotSetPrivilegesRight(t *testing.T) {
	conn := pgtest.Connect(t, pgtest.Database(t))
	if err := Migrate(t.Context(), conn, DefaultSchema); err != nil {
		t.Fatal(err)
	}
	role(t, conn, "pgsolo_migrates")
	exec(t, conn, `grant usage, create on schema pgsolo to pgsolo_migrates;
		grant select on pgsolo.jobs_migration to pgsolo_migrates; set session authorization pgsolo_migrates`)
	if err := Migrate(t.Context(), conn, DefaultSchema); err != nil {
		t.Fatal(err)
	}
	exec(t, conn, `reset session authorization; `+withoutPrivileges+`
		grant select on pgsolo.jobs_migration to pgsolo_migrates; set session authorization pgsolo_migrates`)
	err := Migrate(t.Context(), conn, DefaultSchema)
	if err == nil || !strings.Contains(err.Error(), "migrate as role ") {
		t.Errorf("error %v", err)
	}
	exec(t, conn, `reset session authorization`)
}

// role makes one that lasts as long as the test.
func role(t *testing.T, conn *pgx.Conn, name string) {
	t.Helper()
	exec(t, conn, `create role `+name)
	t.Cleanup(func() {
		sql := `reset session authorization; drop owned by ` + name + `; drop role ` + name
		if _, err := conn.Exec(context.Background(), sql); err != nil {
			t.Error(err)
		}
	})
}
