package jobs

import (
	"context"
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// A role that could lead before the migration, be it with handlers or with cron jobs alone, may say so after it.
func TestMigrateGrantsToRolesThatLead(t *testing.T) {
	for name, test := range map[string]struct {
		table, to        string
		attend, checkLog bool
	}{
		"handlers":  {"cursor", "pgsolo_leads", true, true},
		"cron jobs": {"cron_job", "pgsolo_leads", true, false},
		"neither":   {"event", "pgsolo_leads", false, false},
		"everybody": {"cursor", "public", true, true},
	} {
		t.Run(name, func(t *testing.T) {
			conn := pgtest.Connect(t, pgtest.Database(t))
			before(t, conn)
			exec(t, conn, `create role pgsolo_leads`)
			t.Cleanup(func() {
				_, err := conn.Exec(context.Background(), `drop owned by pgsolo_leads; drop role pgsolo_leads`)
				if err != nil {
					t.Error(err)
				}
			})
			exec(t, conn, `grant update on pgsolo.`+test.table+` to `+test.to)
			if err := Migrate(t.Context(), conn, DefaultSchema); err != nil {
				t.Fatal(err)
			}
			for function, want := range map[string]bool{
				"attend(text,bigint,bigint)":                   test.attend,
				"declared_events()":                            test.attend,
				"leave(text,bigint)":                           test.attend,
				"check_log(bigint,boolean,timestamptz,xid8)":   test.checkLog,
				"note_checked(bigint,bigint,timestamptz,xid8)": test.checkLog,
				"forget_handler(text)":                         false,
			} {
				may := pgtest.Value[bool](t, conn, `select has_function_privilege('pgsolo_leads', $1, 'execute')`,
					"pgsolo."+function)
				if may != want {
					t.Errorf("may execute %s: %t, want %t", function, may, want)
				}
			}
		})
	}
}
