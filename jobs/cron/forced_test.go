package cron

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs/admin"
	"github.com/pgsolo/pgsolo/jobs/cron/internal/rows"
)

// Commands may have come past trigger_job, or at once from many sessions that do not see each other. The leader starts
// no more beside each other than it may, and says of the others why not.
func TestForcedRunsHaveABound(t *testing.T) {
	for _, overlap := range []Overlap{OverlapSkip, OverlapAllow} {
		t.Run(string(overlap), func(t *testing.T) {
			run, started := calls(t)
			c := setupCron(t, run).seen()
			c.cron.Overlap = overlap
			c.lead(1)
			const more = 7
			jobstest.MustExec(t, c.pool, `insert into pgsolo.cron_run (job, scheduled_at, term, attempt, started_at,
					outcome, cause, forced)
				select 'job', clock_timestamp() + n * interval '1 microsecond', 0, 0, null, 'queued', 'manual', $2
				from generate_series(1, $1) n`, MaxForced+more, overlap == OverlapSkip)
			c.notify()
			var all []*call
			for range MaxForced {
				all = append(all, pgtest.Within(t, "a forced run", started))
			}
			count := func(outcome string) int {
				return pgtest.Value[int](t, c.pool, `select count(*) from pgsolo.cron_run where outcome = $1
					and (error = $2 or outcome <> 'skipped')`, outcome, errManual.Error())
			}
			pgtest.Eventually(t, "the others to be skipped", func() bool { return count(rows.Skipped) == more })
			_, err := admin.CronJobs{}.Trigger(t.Context(), c.pool, "job", true)
			if err == nil && overlap == OverlapSkip {
				t.Error("trigger_job takes one more")
			}
			c.finish(all[0], nil)
			c.trigger(true)
			all = append(all[1:], pgtest.Within(t, "one in the place of one that has ended", started))
			for _, one := range all {
				c.finish(one, nil)
			}
			c.quit()
			if ok := count(rows.OK); ok != MaxForced+1 {
				t.Errorf("%d runs", ok)
			}
		})
	}
}

// trigger_job refuses more than that by name, in one transaction and in many, of a job and of all.
func TestTriggerJobHasBounds(t *testing.T) {
	pool := jobstest.Pool(t)
	jobstest.MustExec(t, pool, `insert into pgsolo.cron_job (job, schedule, last_at)
		select 'job' || n, '@daily', now() from generate_series(1, 12) n`)
	trigger := func(job string, force bool, times int) error {
		const call = `select pgsolo.trigger_job($1, $2) from generate_series(1, $3)`
		_, err := pool.Exec(t.Context(), call, job, force, times)
		return err
	}
	limit := func(err error) bool {
		refused, ok := errors.AsType[*pgconn.PgError](err)
		return ok && refused.Code == "53400"
	}
	if err := trigger("job1", true, 400); !limit(err) {
		t.Errorf("400 at once: %v", err)
	}
	for n := range MaxForced {
		if err := trigger("job1", true, 1); err != nil {
			t.Errorf("%d: %v", n, err)
		}
	}
	if err := trigger("job1", true, 1); !limit(err) {
		t.Errorf("one more: %v", err)
	}
	if err := trigger("job1", false, 1); err != nil {
		t.Errorf("one that waits for its turn: %v", err)
	}
	for _, job := range []string{"job2", "job3", "job4", "job5", "job6", "job7", "job8", "job9", "job10"} {
		if err := trigger(job, true, MaxForced); err != nil {
			t.Errorf("%s: %v", job, err)
		}
	}
	if err := trigger("job11", true, 1); !limit(err) {
		t.Errorf("one more than %d of all: %v", MaxForcedInAll, err)
	}
	if err := trigger("job12", false, 1001); !limit(err) {
		t.Errorf("1001 that wait for their turn: %v", err)
	}
	if err := trigger("job12", false, 1000); err != nil {
		t.Errorf("1000 that wait for their turn: %v", err)
	}
	jobstest.MustExec(t, pool, `update pgsolo.cron_run set outcome = 'ok' where job = 'job1'`)
	if err := trigger("job11", true, 1); err != nil {
		t.Errorf("when some have ended: %v", err)
	}
}
