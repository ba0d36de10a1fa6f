package jobs

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// A schema that was renamed has the old name in its functions, and in a column of a view. A leader refuses it, and the
// migration mends it, be the name one that stands for something else in the functions.
func TestMigrateRenamedSchema(t *testing.T) {
	conn := pgtest.Connect(t, pgtest.Database(t))
	if err := Migrate(t.Context(), conn, DefaultSchema); err != nil {
		t.Fatal(err)
	}
	const texts = `select array_agg(text order by text) from (
		select oid::regprocedure || prosrc as text from pg_proc where pronamespace = to_regnamespace($1)
		union all
		select oid::regclass || pg_get_viewdef(oid) from pg_class
		where relnamespace = to_regnamespace($1) and relkind = 'v') t`
	before := pgtest.Value[[]string](t, conn, texts, DefaultSchema)
	was := DefaultSchema
	for _, name := range []string{"jobs", "e", "solo", DefaultSchema} {
		exec(t, conn, `alter schema `+was+` rename to `+name)
		if err := CheckSchema(t.Context(), conn, name); !errors.Is(err, ErrSchema) ||
			!strings.Contains(err.Error(), `"`+name+`" was renamed`) {
			t.Errorf("%s that was %s: %v", name, was, err)
		}
		if err := Migrate(t.Context(), conn, name); err != nil {
			t.Fatal(err)
		}
		if err := CheckSchema(t.Context(), conn, name); err != nil {
			t.Errorf("%s after the migration: %v", name, err)
		}
		exec(t, conn, `select `+name+`.emit('t')`)
		was = name
	}
	if diff := cmp.Diff(before, pgtest.Value[[]string](t, conn, texts, DefaultSchema)); diff != "" {
		t.Errorf("functions and views are others than before (-want +got)\n%s", diff)
	}
}

// Beside a schema that was renamed there is no new one of its old name: its functions would use the tables of that.
func TestMigrateBesideRenamedSchema(t *testing.T) {
	conn := pgtest.Connect(t, pgtest.Database(t))
	before(t, conn)
	exec(t, conn, `alter schema pgsolo rename to billing`)
	if err := Migrate(t.Context(), conn, DefaultSchema); err == nil ||
		!strings.Contains(err.Error(), `schema "billing" was "pgsolo" until it was renamed`) {
		t.Errorf("error %v", err)
	}
	for _, schema := range []string{"other", "billing", DefaultSchema} {
		if err := Migrate(t.Context(), conn, schema); err != nil {
			t.Errorf("%s: %v", schema, err)
		}
	}
}

// Migrations that are applied after the rename find functions that work. What somebody has altered is not touched.
func TestMigrateOldSchemaThatWasRenamed(t *testing.T) {
	conn := pgtest.Connect(t, pgtest.Database(t))
	before(t, conn)
	exec(t, conn, `create or replace function pgsolo.check_job(of_job text) returns void language plpgsql as $$
		begin perform pgsolo.mine(); end $$;
		alter schema pgsolo rename to billing`)
	if err := Migrate(t.Context(), conn, "billing"); err != nil {
		t.Fatal(err)
	}
	if old := pgtest.Value[string](t, conn, `select string_agg(proname, ' ') from pg_proc
		where pronamespace = 'billing'::regnamespace and prosrc ~ '\mpgsolo\.'`); old != "check_job" {
		t.Errorf("the name before is in %s, want check_job alone", old)
	}
}
