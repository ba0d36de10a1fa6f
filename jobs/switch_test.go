package jobs

import (
	"context"
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// The switch for two-phase commit has one name in every schema. In another one than that of its name it was called
// after the schema, which goes on working.
func TestSwitchHasOneName(t *testing.T) {
	conn := pgtest.Connect(t, pgtest.Database(t))
	for _, schema := range []string{DefaultSchema, "billing"} {
		if err := Migrate(t.Context(), conn, schema); err != nil {
			t.Fatal(err)
		}
		exec(t, conn, `select setval('`+schema+`.doorbell_armed', 2);
			listen "`+schema+`.event"; listen "`+schema+`.cron"`)
		for _, setting := range []string{"pgsolo.ring", schema + ".ring", "other.ring"} {
			for call, payload := range map[string]string{
				"emit('t')": "", "ring_for_retry(1)": "retry", "tell_cron()": "",
			} {
				exec(t, conn, `begin; set local `+setting+` = off; select `+schema+`.`+call+`; commit;
					select pg_notify('`+schema+`.event', 'last')`)
				var got []string
				for len(got) == 0 || got[len(got)-1] != "last" {
					ctx, cancel := context.WithTimeout(t.Context(), pgtest.Patience)
					n, err := conn.WaitForNotification(ctx)
					cancel()
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, n.Payload)
				}
				rang := len(got) == 2 && got[0] == payload
				if want := setting == "other.ring"; rang != want || len(got) > 2 {
					t.Errorf("%s.%s with %s off has notified of %q", schema, call, setting, got[:len(got)-1])
				}
			}
		}
	}
}
