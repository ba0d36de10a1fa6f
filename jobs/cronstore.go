package jobs

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// The outcomes of a run, as they stand in cron_run.
const (
	outcomeRunning     = "running"
	outcomeOK          = "ok"
	outcomeFailed      = "failed"
	outcomeSkipped     = "skipped"
	outcomeInterrupted = "interrupted"
)

// cronStore writes the rows of one job. Every statement takes the lock of the job's row under its term first: that puts it
// before or after a newer leader's claim, and after one it writes nothing. All may be repeated when their answer was lost.
type cronStore struct {
	pool   *pgxpool.Pool
	schema string
	job    string
}

// claimedJob is what the database knows of the job. fresh: nothing of this schedule yet.
type claimedJob struct {
	lastAt time.Time
	fresh  bool
}

// last_at loses its fraction, so that the ticks of an @every schedule fall on whole seconds.
const claimCronJob = `with old as (
		select schedule from pgsolo.cron_job where job = $1
	)
	insert into pgsolo.cron_job as j (job, schedule, last_at, term)
	values ($1, $2, date_trunc('second', clock_timestamp()), $3)
	on conflict (job) do update set
		term = excluded.term,
		schedule = excluded.schedule,
		last_at = case when j.schedule = excluded.schedule then j.last_at else excluded.last_at end
	where j.term <= excluded.term
	returning last_at, coalesce((select schedule from old) <> $2, true)`

// claim makes term the one that may write the job. A new job, and one with a new schedule, begins now by the server's clock.
func (s cronStore) claim(ctx context.Context, schedule string, term int64) (claimed claimedJob, err error) {
	err = s.pool.QueryRow(ctx, inSchema(claimCronJob, s.schema), s.job, schedule, term).Scan(&claimed.lastAt, &claimed.fresh)
	if errors.Is(err, pgx.ErrNoRows) {
		return claimed, ErrFenced
	}
	return claimed, err
}

// A statement of its own, after the claim: only then is the row of a tick that the earlier leader was just starting in sight.
const interruptCronRuns = `update pgsolo.cron_run
	set outcome = 'interrupted', finished_at = clock_timestamp(), error = 'the leader of term ' || term || ' was gone'
	where job = $1 and outcome = 'running' and term <= $2`

// interrupt ends the runs that earlier leaders left behind, and returns how many there were.
func (s cronStore) interrupt(ctx context.Context, term int64) (int64, error) {
	tag, err := s.pool.Exec(ctx, inSchema(interruptCronRuns, s.schema), s.job, term)
	return tag.RowsAffected(), err
}

// A row of the same term that has not ended is the one that a lost answer left behind, since no tick is begun twice in a term.
const beginCronRun = `with fence as (
		update pgsolo.cron_job set last_at = $2 where job = $1 and term = $3
		returning job
	), run as (
		insert into pgsolo.cron_run as r (job, scheduled_at, term)
		select job, $2, $3 from fence
		on conflict (job, scheduled_at) do update set term = excluded.term
		where r.term = excluded.term and r.outcome = 'running'
		returning 1
	)
	select exists (select from fence), exists (select from run)`

// begin records the start of a tick. mine is false where an earlier leader, or this one before its clock was set back, has
// started it already.
func (s cronStore) begin(ctx context.Context, at time.Time, term int64) (mine bool, err error) {
	var held bool
	err = s.pool.QueryRow(ctx, inSchema(beginCronRun, s.schema), s.job, at, term).Scan(&held, &mine)
	if err == nil && !held {
		return false, ErrFenced
	}
	return mine, err
}

const skipCronRun = `with fence as (
		update pgsolo.cron_job set last_at = $2 where job = $1 and term = $3
		returning job
	), run as (
		insert into pgsolo.cron_run (job, scheduled_at, term, outcome, finished_at, error)
		select job, $2, $3, 'skipped', clock_timestamp(), $4 from fence
		on conflict (job, scheduled_at) do nothing
	)
	select from fence`

// skip records a tick that is not started.
func (s cronStore) skip(ctx context.Context, at time.Time, term int64, reason string) error {
	return s.fenced(s.pool.Exec(ctx, inSchema(skipCronRun, s.schema), s.job, at, term, reason))
}

// runResult is how a run ended. failure is nil for outcomeOK.
type runResult struct {
	outcome string
	failure *string
}

const finishCronRun = `with fence as (
		select job from pgsolo.cron_job where job = $1 and term = $3
		for share
	), run as (
		update pgsolo.cron_run r
		set outcome = $4, error = $5, finished_at = clock_timestamp()
		from fence
		where r.job = fence.job and r.scheduled_at = $2 and r.term = $3
	)
	select from fence`

// finish records the end of a run.
func (s cronStore) finish(ctx context.Context, at time.Time, term int64, result runResult) error {
	return s.fenced(s.pool.Exec(ctx, inSchema(finishCronRun, s.schema), s.job, at, term, result.outcome, result.failure))
}

// fenced is the error of a statement that returns the job's row if the term still owns it.
func (s cronStore) fenced(tag pgconn.CommandTag, err error) error {
	if err == nil && tag.RowsAffected() == 0 {
		return ErrFenced
	}
	return err
}
