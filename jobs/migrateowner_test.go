package jobs

import (
	"strings"
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// A schema that is up to another role is refused by name, with the remedy, before anything in it is used.
func TestMigrateRefusesForeignSchema(t *testing.T) {
	conn := pgtest.Connect(t, pgtest.Database(t))
	role(t, conn, "pgsolo_other")
	exec(t, conn, `grant pgsolo_other to current_user`) // as it may itself before PostgreSQL 16
	for _, test := range []struct{ name, sql, want string }{
		{"its own", `create schema taken authorization pgsolo_other`,
			`schema "taken" is not this role's alone: it belongs to role pgsolo_other: migrate as that role`},
		{"with all tables", `create schema taken authorization pgsolo_other;
			create table taken.jobs_migration (name text);
			alter table taken.jobs_migration owner to pgsolo_other`, `it belongs to role pgsolo_other`},
		{"it may create there", `create schema taken; grant create on schema taken to pgsolo_other`,
			`role pgsolo_other may create in it: revoke create on schema taken from pgsolo_other`},
		{"everybody may", `create schema taken; grant create on schema taken to public`,
			`revoke create on schema taken from public`},
		{"a function", `create schema taken; grant create on schema taken to pgsolo_other; set role pgsolo_other;
			create function taken.emit(text) returns int language sql as 'select 1'; reset role;
			revoke create on schema taken from pgsolo_other`, `taken.emit(text) in it belongs to role pgsolo_other`},
		{"a table", `create schema taken; create table taken.event (id int);
			alter table taken.event owner to pgsolo_other`,
			`taken.event in it belongs to role pgsolo_other`},
		{"an operator", `create schema taken; grant create on schema taken to pgsolo_other; set role pgsolo_other;
			create operator taken.= (leftarg = int, rightarg = int, function = pg_catalog.int4eq); reset role;
			revoke create on schema taken from pgsolo_other`,
			`taken.=(integer,integer) in it belongs to role pgsolo_other`},
	} {
		t.Run(test.name, func(t *testing.T) {
			exec(t, conn, `drop schema if exists taken cascade; `+test.sql)
			err := Migrate(t.Context(), conn, "taken")
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %s", err, test.want)
			}
		})
	}
	// Its own role may, with a superuser's objects beside.
	exec(t, conn, `drop schema taken cascade; create schema taken; grant all on schema taken to pgsolo_other;
		set role pgsolo_other`)
	if err := Migrate(t.Context(), conn, "taken"); err != nil {
		t.Error(err)
	}
	exec(t, conn, `reset role`)
	if err := Migrate(t.Context(), conn, "taken"); err == nil {
		t.Error("a superuser uses what another role may change")
	}
}
