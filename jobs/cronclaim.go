package jobs

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// A job may come from another group. That one's transactions are over when its leader's row is locked, and later ones see that the
	// job has gone.
	lockCronLeaders = `select from pgsolo.cron_leader order by "group" for update`

	claimCronLeader = `insert into pgsolo.cron_leader as l ("group", term) values ($1, $2)
		on conflict ("group") do update set term = excluded.term where l.term <= excluded.term`

	// A new job, one with another schedule, and one that was not there or not enabled, begins now. Only what has changed is written.
	knowCronJobs = `insert into pgsolo.cron_job as j (job, schedule, last_at, "group", enabled)
		select u.job, u.schedule, $5::timestamptz, $1, u.enabled
		from unnest($2::text[], $3::text[], $4::boolean[]) as u (job, schedule, enabled)
		on conflict (job) do update set
			last_at = case when j.schedule = excluded.schedule and j.configured and (j.enabled or not excluded.enabled)
				then j.last_at else excluded.last_at end,
			schedule = excluded.schedule, "group" = excluded."group", enabled = excluded.enabled, configured = true
		where (j.schedule, j."group", j.enabled, j.configured) is distinct from
			(excluded.schedule, excluded."group", excluded.enabled, true)`

	forgetCronJobs = `update pgsolo.cron_job set configured = false where "group" = $1 and configured and job <> all ($2::text[])`

	// What is left open of jobs that no leader of the group runs any more.
	closeForgottenRuns = `update pgsolo.cron_run r
		set outcome = case when r.outcome = 'running' then 'interrupted' else 'skipped' end, next_at = null,
			error = 'the job was removed from the configuration', finished_at = clock_timestamp()
		from pgsolo.cron_job j
		where j.job = r.job and j."group" = $1 and not j.configured and r.outcome in ('queued', 'running', 'retrying')`

	// The latest tick is the one up to now: a later one is from a clock that was ahead, or is behind now. Where there are only later
	// ones, nobody knows what was missed.
	selectCronJobs = `select j.job, greatest(j.last_at, coalesce(t.scheduled_at, f.now)), j.paused_at is not null, s.finished_at
		from pgsolo.cron_job j
			left join lateral (
				select r.scheduled_at from pgsolo.cron_run r
				where r.job = j.job and r.scheduled_at <= $2 and r.cause <> 'manual' order by r.scheduled_at desc limit 1
			) t on true
			left join lateral (
				select $2::timestamptz as now from pgsolo.cron_run r
				where r.job = j.job and r.scheduled_at > $2 and r.cause <> 'manual' limit 1
			) f on true
			left join lateral (
				select r.finished_at from pgsolo.cron_run r
				where r.job = j.job and r.outcome = 'ok' order by r.scheduled_at desc limit 1
			) s on true
		where j."group" = $1 and j.configured`

	selectOpenRuns = `select r.job, r.scheduled_at, r.outcome, r.cause, r.forced, r.attempt, r.term, coalesce(r.next_at, r.scheduled_at)
		from pgsolo.cron_run r join pgsolo.cron_job j on j.job = r.job
		where j."group" = $1 and j.configured and r.outcome in ('queued', 'running', 'retrying')
			and not (r.outcome = 'queued' and r.cause = 'manual')
		order by r.job, r.scheduled_at`
)

// claimedJob is what the database knows of a job.
type claimedJob struct {
	name        string
	last        time.Time // ticks up to here are decided on
	paused      bool
	lastSuccess *time.Time
}

// openRun is a row that an earlier leader has left open.
type openRun struct {
	job     string
	at      time.Time
	outcome string
	cause   string
	forced  bool
	attempt int
	term    int64
	nextAt  time.Time
}

// claim makes term the one that may write the group's jobs, makes these known, and returns what earlier leaders have left.
func (s cronStore) claim(ctx context.Context, term int64, jobs []*cronJob, now time.Time) (known []claimedJob, open []openRun, err error) {
	names, schedules, enabled := make([]string, len(jobs)), make([]string, len(jobs)), make([]bool, len(jobs))
	for i, j := range jobs {
		names[i], schedules[i], enabled[i] = j.Name, j.schedules.String(), !j.Disabled
	}
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, inSchema(lockCronLeaders, s.schema)); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, inSchema(claimCronLeader, s.schema), s.group, term)
		if err == nil && tag.RowsAffected() == 0 {
			return ErrFenced
		}
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, inSchema(knowCronJobs, s.schema), s.group, names, schedules, enabled, now.Truncate(time.Second)); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, inSchema(forgetCronJobs, s.schema), s.group, names); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, inSchema(closeForgottenRuns, s.schema), s.group); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, inSchema(selectCronJobs, s.schema), s.group, now)
		if err != nil {
			return err
		}
		known, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (j claimedJob, err error) {
			return j, row.Scan(&j.name, &j.last, &j.paused, &j.lastSuccess)
		})
		if err != nil {
			return err
		}
		if rows, err = tx.Query(ctx, inSchema(selectOpenRuns, s.schema), s.group); err != nil {
			return err
		}
		open, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (r openRun, err error) {
			return r, row.Scan(&r.job, &r.at, &r.outcome, &r.cause, &r.forced, &r.attempt, &r.term, &r.nextAt)
		})
		return err
	})
	return known, open, err
}

// claim begins the term: from here on no earlier leader's runs are written any more, so what they have left is over.
func (t *cronTerm) claim(ctx context.Context) error {
	var (
		known []claimedJob
		open  []openRun
		now   time.Time
	)
	err := t.persist(ctx, "claim cron jobs", func(ctx context.Context) (err error) {
		now = t.now()
		known, open, err = t.store.claim(ctx, t.term, t.scheduler.jobs, now)
		return err
	})
	if err != nil {
		return err
	}
	for _, k := range known {
		j, ok := t.byName[k.name]
		if !ok {
			return fmt.Errorf("job %q has appeared in this group: %w", k.name, ErrFenced)
		}
		j.last, j.paused = k.last, k.paused
		if j.last.After(now) {
			j.last = now
		}
		j.next = j.schedules.Next(j.last)
		j.count(func(s *CronStats) {
			if k.lastSuccess != nil {
				s.LastSuccess = *k.lastSuccess
			}
		})
	}
	for _, o := range open {
		if j, ok := t.byName[o.job]; ok {
			t.takeOver(j, o, now)
		}
	}
	for _, j := range t.jobs {
		if n := len(j.queue); n > 0 && j.Overlap == OverlapReplace && !slices.ContainsFunc(j.queue, isCatchUp) {
			latest := j.queue[n-1]
			j.queue = j.queue[:n-1]
			t.replace(j, latest.at)
			j.queue = []*cronRun{latest}
		}
		if j.wake = j.nextWake(); len(j.queue) > 0 {
			j.wake = time.Time{}
		}
		t.show(j)
	}
	t.heap.init(t.jobs)
	t.looked = now
	return nil
}

// takeOver goes on with what an earlier leader has left of a tick.
func (t *cronTerm) takeOver(j *jobTerm, o openRun, now time.Time) {
	r := &cronRun{job: j, at: o.at, cause: o.cause, forced: o.forced, attempt: o.attempt, nextAt: o.nextAt}
	t.open[r.key()] = r
	switch o.outcome {
	case outcomeQueued:
		j.queue = append(j.queue, r)
	case outcomeRetrying:
		j.retrying = append(j.retrying, r)
	case outcomeRunning:
		j.logger.Warn("an earlier leader left a run unfinished", "scheduled_at", o.at, "attempt", o.attempt, "term", o.term)
		result := runResult{outcome: outcomeInterrupted, failure: fmt.Sprintf("the leader of term %d was gone", o.term)}
		if j.retriesInterrupted(o.attempt) {
			result.outcome, r.nextAt, r.resumed = outcomeRetrying, now, true
		}
		t.writeEnd(r, result)
	}
}
