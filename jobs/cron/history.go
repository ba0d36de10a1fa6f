package cron

import (
	"context"
	"fmt"
	"time"

	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

const (
	// The history is pruned this often: of a job with new runs, once a tenth of what is kept of it has been added, and of all jobs,
	// because of their age, each pruneAllEvery.
	pruneEvery    = 5 * time.Second
	pruneAllEvery = time.Hour
)

// Of each job the rows that have ended are numbered from the one written last, the runs that were all right, those that were not and
// the skipped ticks each for themselves: a long run may skip more ticks than are kept. By when they were written, because a clock that
// was ahead leaves rows which would be the latest for long. The latest tick up to now stays: it says what has been missed.
const pruneRuns = `with keep as (
		select * from unnest($1::text[], $2::bigint[], $3::timestamptz[], $4::bigint[], $5::timestamptz[])
			as k (job, runs, since, failed_runs, failed_since)
	), ended as (
		select r.ctid, r.scheduled_at,
			case when f.failed then k.failed_runs else k.runs end as runs,
			case when f.failed then k.failed_since else k.since end as since,
			row_number() over (partition by r.job, f.failed, r.outcome = 'skipped' order by r.finished_at desc, r.scheduled_at desc) as number,
			first_value(r.ctid) over (
				partition by r.job order by r.cause = 'manual', r.scheduled_at > $6, r.scheduled_at desc) as latest
		from keep k
			join pgsolo.cron_run r on r.job = k.job and r.outcome not in ('queued', 'running', 'retrying')
			cross join lateral (select r.outcome in ('failed', 'interrupted', 'missed') as failed) f
	), gone as (
		delete from pgsolo.cron_run r using ended e
		where r.ctid = e.ctid and e.ctid <> e.latest and (e.number > e.runs or e.scheduled_at < e.since)
			and r.outcome not in ('queued', 'running', 'retrying')
		returning r.job, r.scheduled_at, r.cause
	)
	update pgsolo.cron_job j set pruned_to = g.scheduled_at
	from (select job, max(scheduled_at) as scheduled_at from gone where cause <> 'manual' group by job) g
	where j.job = g.job and (j.pruned_to is null or j.pruned_to < g.scheduled_at)`

// Jobs that were removed from the configuration keep what is younger than this.
const forgottenFor = 90 * 24 * time.Hour

const pruneForgottenRuns = `delete from pgsolo.cron_run r using pgsolo.cron_job j
	where j.job = r.job and j."group" = $1 and j.forgotten_at is not null and r.scheduled_at < $2`

// startPruning prunes the history beside the goroutine of the term, until ctx is done. The channel is closed when it has ended. What
// goes wrong is logged: a history that grows is no reason to give up a leadership.
func (t *term) startPruning(ctx context.Context) <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		t.Scheduler.prune(ctx)
	}()
	return ended
}

// prune runs until ctx is done.
func (s *Scheduler) prune(ctx context.Context) {
	timer := time.NewTicker(pruneEvery)
	defer timer.Stop()
	all := time.Now() // all are looked at in the first pass
	for failing := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		everything := !time.Now().Before(all)
		err := s.closeForgotten(ctx)
		if err == nil {
			err = s.pruneJobs(ctx, s.toPrune(everything))
		}
		if everything && err == nil {
			err = s.pruneForgotten(ctx)
		}
		if everything && err == nil {
			all = time.Now().Add(pruneAllEvery)
		}
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !failing:
			s.logger.Error("history not pruned, and grows", "error", err)
		case err == nil && failing:
			s.logger.Info("history is pruned again")
		}
		failing = err != nil
	}
}

// toPrune returns the jobs whose history may have too much.
func (s *Scheduler) toPrune(all bool) (due []*job) {
	for _, j := range s.jobs {
		enough := max(1, min(nonNegative(j.History.Runs), nonNegative(j.History.FailedRuns))/10)
		if all || j.ended.Load() >= int64(enough) {
			due = append(due, j)
		}
	}
	return due
}

func nonNegative(n int) int {
	if n < 0 {
		return 1 << 30
	}
	return n
}

func (s *Scheduler) pruneJobs(ctx context.Context, due []*job) error {
	const page = 500
	for len(due) > 0 {
		jobs := due[:min(page, len(due))]
		due = due[len(jobs):]
		if err := s.prunePage(ctx, jobs); err != nil {
			return err
		}
	}
	return nil
}

func (s *Scheduler) prunePage(ctx context.Context, jobs []*job) error {
	n, now := len(jobs), s.now()
	names, runs, failedRuns := make([]string, n), make([]int64, n), make([]int64, n)
	since, failedSince := make([]time.Time, n), make([]time.Time, n)
	ended := make([]int64, n)
	for i, j := range jobs {
		ended[i] = j.ended.Load() // what ends from here on is for the next pass
		names[i] = j.Name
		runs[i], since[i] = keep(j.History.Runs, j.History.MaxAge, now)
		failedRuns[i], failedSince[i] = keep(j.History.FailedRuns, j.History.FailedMaxAge, now)
	}
	err := pg.Try(ctx, func(ctx context.Context) error {
		_, err := s.store.pool.Exec(ctx, pg.Place(pruneRuns, s.store.schema), names, runs, since, failedRuns, failedSince, now)
		return err
	})
	if err != nil {
		return fmt.Errorf("prune history of %d jobs from %q on: %w", n, names[0], err)
	}
	for i, j := range jobs {
		j.ended.Add(-ended[i])
	}
	return nil
}

func (s *Scheduler) closeForgotten(ctx context.Context) error {
	err := pg.Try(ctx, func(ctx context.Context) error {
		_, err := s.store.pool.Exec(ctx, pg.Place(closeForgottenRuns, s.store.schema), s.store.group, s.now().Add(-movedFor), nil)
		return err
	})
	if err != nil {
		return fmt.Errorf("close runs of removed jobs: %w", err)
	}
	return nil
}

func (s *Scheduler) pruneForgotten(ctx context.Context) error {
	err := pg.Try(ctx, func(ctx context.Context) error {
		_, err := s.store.pool.Exec(ctx, pg.Place(pruneForgottenRuns, s.store.schema), s.store.group, s.now().Add(-forgottenFor))
		return err
	})
	if err != nil {
		return fmt.Errorf("prune history of removed jobs: %w", err)
	}
	return nil
}

// keep returns how many rows are kept at most, and of which time.
func keep(runs int, age time.Duration, now time.Time) (int64, time.Time) {
	since := now.Add(-age)
	if age < 0 {
		since = time.Unix(0, 0)
	}
	return int64(nonNegative(runs)), since
}
