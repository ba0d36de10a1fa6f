package cron

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

const (
	claimCronLeader = `insert into pgsolo.cron_leader as l ("group", term) values ($1, $2)
		on conflict ("group") do update set term = excluded.term where l.term <= excluded.term`

	// Only what has changed is written, so that a transaction which has a job's row, to pause it, holds up no leader that knows it.
	changedCronJobs = `select u.job, coalesce(j."group", $1) from unnest($2::text[], $3::text[], $4::boolean[]) as u (job, schedule, enabled)
		left join pgsolo.cron_job j on j.job = u.job
		where (j.schedule, j."group", j.enabled, j.forgotten_at) is distinct from (u.schedule, $1, u.enabled, null::timestamptz)`

	// A job may come from another group. That one's transactions are over when its leader's row is locked, and later ones see that the
	// job has gone. Its leader is told, and ends.
	lockOtherLeaders = `select from pgsolo.cron_leader where "group" = any ($1::text[]) order by "group" for update`
	tellOtherLeaders = `select pg_notify('pgsolo.cron', '')`

	// A new job, one with another schedule, and one that was not there or not enabled, begins now. One that another group has just
	// forgotten has moved, and goes on.
	knowCronJobs = `insert into pgsolo.cron_job as j (job, schedule, last_at, "group", enabled)
		select u.job, u.schedule, $5::timestamptz, $1, u.enabled
		from unnest($2::text[], $3::text[], $4::boolean[]) as u (job, schedule, enabled)
		where u.job = any ($6::text[])
		on conflict (job) do update set
			last_at = case when j.schedule = excluded.schedule and (j.enabled or not excluded.enabled)
					and (j.forgotten_at is null or j."group" <> excluded."group" and j.forgotten_at > $7)
				then j.last_at else excluded.last_at end,
			schedule = excluded.schedule, "group" = excluded."group", enabled = excluded.enabled, forgotten_at = null`

	// What is left open of jobs that were removed: at once where one of them is there again, and else when it has not moved to another
	// group, whose leader would go on with it.
	closeForgottenRuns = `update pgsolo.cron_run r
		set outcome = case when r.outcome = 'running' then 'interrupted' else 'skipped' end, next_at = null,
			error = 'the job was removed from the configuration', finished_at = clock_timestamp()
		from pgsolo.cron_job j
		where j.job = r.job and j."group" = $1 and j.forgotten_at < $2 and ($3::text[] is null or j.job = any ($3::text[]))
			and r.outcome in ('queued', 'running', 'retrying')`

	forgetCronJobs = `update pgsolo.cron_job set forgotten_at = $3
		where "group" = $1 and forgotten_at is null and job <> all ($2::text[])`

	// The latest tick is the one up to now: a later one is from a clock that was ahead, or is behind now. Where there are only later
	// ones, nobody knows what was missed.
	selectCronJobs = `select j.job, greatest(j.last_at, coalesce(t.scheduled_at, f.now)), j.pruned_to, j.paused_at is not null, s.finished_at
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
		where j."group" = $1 and j.forgotten_at is null`

	selectOpenRuns = `select r.job, r.scheduled_at, r.outcome, r.cause, r.attempt, r.term, coalesce(r.next_at, r.scheduled_at)
		from pgsolo.cron_run r join pgsolo.cron_job j on j.job = r.job
		where j."group" = $1 and j.forgotten_at is null and r.outcome in ('queued', 'running', 'retrying')
			and not (r.outcome = 'queued' and r.cause = 'manual')
		order by r.job, r.scheduled_at`
)

// claimedJob is what the database knows of a job.
type claimedJob struct {
	name        string
	last        time.Time  // ticks up to here are decided on
	prunedTo    *time.Time // and so are these, if the clock of the leader before was ahead of this one's
	paused      bool
	lastSuccess *time.Time
}

// openRun is a row that an earlier leader has left open.
type openRun struct {
	job     string
	at      time.Time
	outcome string
	cause   string
	attempt int
	term    int64
	nextAt  time.Time
}

// movedFor is how long after it was forgotten by one group a job counts as moved when another one claims it.
const movedFor = 10 * time.Minute

// claim makes term the one that may write the group's jobs, makes these known, and returns what earlier leaders have left.
func (s store) claim(ctx context.Context, term int64, all []*job, now time.Time) (c claim, err error) {
	names, schedules, enabled := make([]string, len(all)), make([]string, len(all)), make([]bool, len(all))
	for i, j := range all {
		names[i], schedules[i], enabled[i] = j.Name, j.schedules.String(), !j.Disabled
	}
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		exec := func(sql string, args ...any) (pgconn.CommandTag, error) {
			return tx.Exec(ctx, pg.Place(sql, s.schema), args...)
		}
		tag, err := exec(claimCronLeader, s.group, term)
		if err == nil && tag.RowsAffected() == 0 {
			return jobs.ErrFenced
		}
		if err != nil {
			return err
		}
		changed, groups, err := s.changed(ctx, tx, names, schedules, enabled)
		if err != nil {
			return err
		}
		if c.moved = slices.Collect(maps.Keys(groups)); len(c.moved) > 0 {
			if _, err := exec(lockOtherLeaders, slices.Collect(maps.Values(groups))); err != nil {
				return err
			}
			if _, err := exec(tellOtherLeaders); err != nil {
				return err
			}
		}
		if len(changed) > 0 {
			if _, err := exec(closeForgottenRuns, s.group, never, changed); err != nil {
				return err
			}
			if _, err := exec(knowCronJobs, s.group, names, schedules, enabled, now.Truncate(time.Second), changed, now.Add(-movedFor)); err != nil {
				return err
			}
		}
		if _, err := exec(forgetCronJobs, s.group, names, now); err != nil {
			return err
		}
		return s.selectLeft(ctx, tx, now, &c)
	})
	return c, err
}

// claim is what a claim has found.
type claim struct {
	known []claimedJob
	open  []openRun
	moved []string // jobs that were another group's
}

// changed returns the jobs whose rows are not as they should be, and of those that are another group's, which one's.
func (s store) changed(ctx context.Context, tx pgx.Tx, names, schedules []string, enabled []bool) ([]string, map[string]string, error) {
	rows, err := tx.Query(ctx, pg.Place(changedCronJobs, s.schema), s.group, names, schedules, enabled)
	if err != nil {
		return nil, nil, err
	}
	var (
		job, group string
		changed    []string
		groups     = map[string]string{}
	)
	_, err = pgx.ForEachRow(rows, []any{&job, &group}, func() error {
		changed = append(changed, job)
		if group != s.group {
			groups[job] = group
		}
		return nil
	})
	return changed, groups, err
}

// selectLeft reads what earlier leaders have left.
func (s store) selectLeft(ctx context.Context, tx pgx.Tx, now time.Time, c *claim) error {
	rows, err := tx.Query(ctx, pg.Place(selectCronJobs, s.schema), s.group, now)
	if err != nil {
		return err
	}
	c.known, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (j claimedJob, err error) {
		return j, row.Scan(&j.name, &j.last, &j.prunedTo, &j.paused, &j.lastSuccess)
	})
	if err != nil {
		return err
	}
	if rows, err = tx.Query(ctx, pg.Place(selectOpenRuns, s.schema), s.group); err != nil {
		return err
	}
	c.open, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (r openRun, err error) {
		return r, row.Scan(&r.job, &r.at, &r.outcome, &r.cause, &r.attempt, &r.term, &r.nextAt)
	})
	return err
}

// movedHold is how long a job that was another group's waits: by then that one's leader, if there is one, has heard of it, and has
// cancelled the job's run.
const movedHold = lookWhenTold + 5*time.Second

// claim begins the term: from here on no earlier leader's runs are written any more, so what they have left is over.
func (t *term) claim(ctx context.Context) error {
	var (
		found claim
		now   time.Time
	)
	err := t.persist(ctx, "claim cron jobs", func(ctx context.Context) (err error) {
		now = t.now()
		found, err = t.store.claim(ctx, t.term, t.Scheduler.jobs, now)
		return err
	})
	if err != nil {
		return err
	}
	for _, k := range found.known {
		j, ok := t.byName[k.name]
		if !ok {
			return fmt.Errorf("job %q has appeared in this group: %w", k.name, jobs.ErrFenced)
		}
		j.last, j.paused = k.last, k.paused
		if j.last.After(now) {
			j.last = now
		}
		if k.prunedTo != nil && k.prunedTo.After(j.last) && k.prunedTo.Sub(now) <= longStep {
			j.last = *k.prunedTo
		}
		j.next = j.schedules.Next(j.last)
		j.count(func(s *Stats) {
			if k.lastSuccess != nil {
				s.LastSuccess = *k.lastSuccess
			}
		})
	}
	for _, o := range found.open {
		if j, ok := t.byName[o.job]; ok {
			t.takeOver(j, o, now)
		}
	}
	for _, name := range found.moved {
		t.byName[name].heldUntil = now.Add(movedHold)
	}
	for _, j := range t.jobs {
		if n := len(j.queue); n > 0 && j.Overlap == OverlapReplace && !slices.ContainsFunc(j.queue, isCatchUp) {
			latest := j.queue[n-1]
			j.queue = j.queue[:n-1]
			t.replace(j, latest.at)
			j.queue = []*run{latest}
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
func (t *term) takeOver(j *jobTerm, o openRun, now time.Time) {
	r := &run{job: j, at: o.at, cause: o.cause, attempt: o.attempt, nextAt: o.nextAt}
	t.open[r.key()] = r
	if j.Disabled && r.cause != causeManual {
		result := runResult{outcome: outcomeSkipped, failure: "the job is not enabled"}
		if o.outcome == outcomeRunning {
			result.outcome = outcomeInterrupted
		}
		t.writeEnd(r, result)
		return
	}
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
