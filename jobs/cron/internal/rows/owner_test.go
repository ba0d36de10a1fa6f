package rows

import (
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// Two groups that swap jobs at one moment have each its own leader's row when they want the other one's: neither waits
// for the other in a circle.
func TestGroupsSwapJobsAtOnce(t *testing.T) {
	pool, ctx := jobstest.Pool(t), t.Context()
	_, known, tick := setup(t, pool)
	of := func(name string) []Job { return []Job{{Name: name, Schedule: known[0].Schedule, Enabled: true}} }
	for group, job := range map[string]string{"a": "x", "b": "y"} {
		if _, err := storeOf(pool, group).Claim(ctx, 1, of(job), tick.At, takeAll); err != nil {
			t.Fatal(err)
		}
	}
	gate := jobstest.Begin(t, pool)
	jobstest.MustExec(t, gate, `lock table pgsolo.cron_job in access exclusive mode`)
	claimed := make(chan error, 2)
	for group, job := range map[string]string{"a": "y", "b": "x"} {
		go func() {
			_, err := storeOf(pool, group).Claim(ctx, 2, of(job), tick.At, takeAll)
			claimed <- err
		}()
	}
	pgtest.Eventually(t, "both claims to wait", func() bool {
		return pgtest.Value[int](t, pool, `select count(*) from pg_locks
			where locktype = 'relation' and not granted and relation = 'pgsolo.cron_job'::regclass`) == 2
	})
	jobstest.Commit(t, gate)
	for range 2 {
		if err := pgtest.Within(t, "a claim", claimed); err != nil {
			t.Error(err)
		}
	}
	const whose = `select string_agg(job || ' ' || "group", ', ' order by job) from pgsolo.cron_job
		where forgotten_at is null`
	if got := pgtest.Value[string](t, pool, whose); got != "x b, y a" {
		t.Errorf("after the swap: %s", got)
	}
}
