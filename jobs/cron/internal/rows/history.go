package rows

import (
	"context"
	"time"
)

// Of each job the rows that have ended are numbered from the one written last, the runs that were all right, those that
// were not and the skipped ticks each for themselves: a long run may skip more ticks than are kept. By when they were
// written, because a clock that was ahead leaves rows which would be the latest for long. The latest tick up to now
// stays: it says what has been missed.
const pruneRuns = `with keep as (
		select * from unnest($1::text[], $2::bigint[], $3::timestamptz[], $4::bigint[], $5::timestamptz[])
			as k (job, runs, since, failed_runs, failed_since)
	), ended as (
		select r.ctid, r.scheduled_at,
			case when f.failed then k.failed_runs else k.runs end as runs,
			case when f.failed then k.failed_since else k.since end as since,
			row_number() over (partition by r.job, f.failed, r.outcome = 'skipped' ` +
	`order by r.finished_at desc, r.scheduled_at desc) as number,
			first_value(r.ctid) over (
				partition by r.job order by r.cause = 'manual', r.scheduled_at > $6, r.scheduled_at desc) as latest
		from keep k
			join pgsolo.cron_run r on r.job = k.job and r.outcome not in ` + openOutcomes + `
			cross join lateral (select r.outcome in ('failed', 'interrupted', 'missed') as failed) f
	), gone as (
		delete from pgsolo.cron_run r using ended e
		where r.ctid = e.ctid and e.ctid <> e.latest and (e.number > e.runs or e.scheduled_at < e.since)
			and r.outcome not in ` + openOutcomes + `
		returning r.job, r.scheduled_at, r.cause
	)
	update pgsolo.cron_job j set pruned_to = g.scheduled_at
	from (select job, max(scheduled_at) as scheduled_at from gone where cause <> 'manual' group by job) g
	where j.job = g.job and (j.pruned_to is null or j.pruned_to < g.scheduled_at)`

const pruneForgottenRuns = `delete from pgsolo.cron_run r using pgsolo.cron_job j
	where j.job = r.job and j."group" = $1 and j.forgotten_at is not null and r.scheduled_at < $2`

// Retention is what is kept of the history of a job.
type Retention struct {
	Job         string
	Runs        int64     // how many that were all right, and as many skipped ticks
	Since       time.Time // and from when on
	FailedRuns  int64
	FailedSince time.Time
}

// Prune removes what the history of these jobs has too much. now is the clock of the schedules.
func (s Store) Prune(ctx context.Context, kept []Retention, now time.Time) error {
	n := len(kept)
	names, runs, failedRuns := make([]string, n), make([]int64, n), make([]int64, n)
	since, failedSince := make([]time.Time, n), make([]time.Time, n)
	for i, k := range kept {
		names[i], runs[i], since[i], failedRuns[i], failedSince[i] = k.Job, k.Runs, k.Since, k.FailedRuns, k.FailedSince
	}
	_, err := s.DB.Exec(ctx, pruneRuns, names, runs, since, failedRuns, failedSince, now)
	return err
}

// CloseForgotten ends what is left open of jobs that were removed, unless they may have moved to another group.
func (s Store) CloseForgotten(ctx context.Context, now time.Time) error {
	_, err := s.DB.Exec(ctx, closeForgottenRuns, s.Group, now.Add(-movedFor), nil, s.Grace.Microseconds())
	return err
}

// PruneForgotten removes the runs of jobs that were removed, up to that time.
func (s Store) PruneForgotten(ctx context.Context, before time.Time) error {
	_, err := s.DB.Exec(ctx, pruneForgottenRuns, s.Group, before)
	return err
}
