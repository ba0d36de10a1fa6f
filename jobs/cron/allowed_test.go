package cron

import (
	"strings"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// A leader whose role may not write its ticks names the grant, and hands over all the same: they are left to the next
// one, which makes up for them.
func TestHandoverOfOneThatMayNotWriteItsTicks(t *testing.T) {
	for _, revoked := range []string{"insert on pgsolo.cron_decision", "insert on pgsolo.cron_run"} {
		t.Run(revoked, func(t *testing.T) {
			t.Parallel()
			run, ran := collecting()
			c := setupCron(t, run).seen()
			owner := c.pool
			c.pool = jobstest.RoleOf(t, owner,
				`grant select, insert, update, delete on all tables in schema pgsolo to {role}`,
				`revoke `+revoked+` from {role}`)
			c.lead(1)
			c.clock.move(c.epoch.Add(time.Minute))
			c.clock.wake(t)
			pgtest.Eventually(t, "the grant to be named", func() bool {
				return strings.Contains(c.log.String(), "grant "+revoked+" to ")
			})
			c.quit()

			c.pool = owner
			c.lead(2)
			if tick := pgtest.Within(t, "the tick", ran); !tick.ScheduledAt.Equal(c.epoch.Add(time.Minute)) {
				t.Errorf("the tick of %s", tick.ScheduledAt)
			}
		})
	}
}
