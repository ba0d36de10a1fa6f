package election_test

import (
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/election"
)

// After a restore without privileges everybody may ask a leader to hand over, until the next migration.
func TestMigrateAfterRestoreWithoutPrivileges(t *testing.T) {
	conn := pgtest.Connect(t, pgtest.Database(t))
	for _, schema := range []string{election.DefaultSchema, "other"} {
		for _, lost := range []string{
			``,
			`update pg_proc set proacl = null where pronamespace = '` + schema + `'::regnamespace`,
			`grant execute on all functions in schema ` + schema + ` to public, pg_monitor`,
		} {
			if err := election.Migrate(t.Context(), conn, schema); err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Exec(t.Context(), lost); err != nil {
				t.Fatal(err)
			}
			if err := election.Migrate(t.Context(), conn, schema); err != nil {
				t.Fatal(err)
			}
			for role, want := range map[string]bool{"public": false, "pg_monitor": lost != "" && lost[0] == 'g'} {
				may := pgtest.Value[bool](t, conn,
					`select has_function_privilege($1, ($2 || '.step_down')::regproc, 'execute')`, role, schema)
				if may != want {
					t.Errorf("after %q %s may execute step_down: %t", lost, role, may)
				}
			}
		}
	}
}
