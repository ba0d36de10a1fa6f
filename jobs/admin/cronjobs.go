package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgsolo/pgsolo/jobs/internal/pg"
	"github.com/pgsolo/pgsolo/jobs/internal/text"
)

// ErrUnknownJob means that no leader has a cron job of this name. The error that wraps it lists those that there are.
var ErrUnknownJob = errors.New("no such cron job")

// CronJobs pauses, resumes and triggers the cron jobs in one schema, and shows their history. Each call takes part in the
// transaction that db is: the leader hears of a change when that has been committed, within a second, or within ten if its
// LISTEN session was just lost or the transaction has set pgsolo.ring to off. A role needs to execute pgsolo.pause_job, resume_job or
// trigger_job, and for Runs to select from pgsolo.cron_run.
type CronJobs struct {
	Schema string // default "pgsolo"
}

// Pause keeps a job from starting until it is resumed, over any number of leaders. What runs, goes on; what waits for a retry or its
// turn, waits. It can still be triggered. A second call changes nothing.
func (c CronJobs) Pause(ctx context.Context, db Querier, job string) error {
	return c.call(ctx, db, "pause", `select pgsolo.pause_job($1)::text`, job)
}

// Resume ends a pause. Ticks that came due during it are not made up for.
func (c CronJobs) Resume(ctx context.Context, db Querier, job string) error {
	return c.call(ctx, db, "resume", `select pgsolo.resume_job($1)::text`, job)
}

// Trigger has a job run now, beside its schedule, also while it is paused or not enabled, and returns the ScheduledAt of the run.
// If the job has a run already, its overlap policy holds, unless force is set: then it starts beside that.
func (c CronJobs) Trigger(ctx context.Context, db Querier, job string, force bool) (time.Time, error) {
	var at time.Time
	err := c.query(ctx, db, &at, `select pgsolo.trigger_job($1, $2)`, job, force)
	if err != nil {
		return at, fmt.Errorf("trigger cron job %q: %w", job, err)
	}
	return at, nil
}

func (c CronJobs) call(ctx context.Context, db Querier, verb, sql, job string) error {
	var nothing *string
	if err := c.query(ctx, db, &nothing, sql, job); err != nil {
		return fmt.Errorf("%s cron job %q: %w", verb, job, err)
	}
	return nil
}

func (c CronJobs) query(ctx context.Context, db Querier, answer any, sql string, args ...any) error {
	schema, err := pg.SchemaOrDefault(c.Schema)
	if err != nil {
		return err
	}
	if err := text.Check(args[0].(string)); err != nil {
		return err
	}
	err = db.QueryRow(ctx, pg.Place(sql, schema), args...).Scan(answer)
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.Code == pg.UndefinedObject {
		return fmt.Errorf("%w. %s", ErrUnknownJob, pgErr.Hint)
	}
	return err
}

// Run is a row of a job's history: a tick, or a manual run.
type Run struct {
	Job         string
	ScheduledAt time.Time
	Cause       string // "schedule", "catch_up" or "manual"

	// Outcome is "ok", "failed", "interrupted", "replaced", "skipped" or "missed"; while the row is open "queued", "running" or
	// "retrying".
	Outcome    string
	Error      string    // why it is not ok; of the latest attempt
	Attempt    int       // 0: none yet
	Term       int64     // of the leader of the latest attempt
	Holder     string    // that leader
	StartedAt  time.Time // of the latest attempt; zero: none
	FinishedAt time.Time // when the outcome of the latest attempt was written, or that there is none; zero: not yet
	NextAt     time.Time // of the next attempt; zero: none is waited for
	ExitCode   *int      // of a program
	HTTPStatus *int      // of a response
	Output     string    // the last 64 KiB
}

const selectRuns = `select job, scheduled_at, cause, outcome, coalesce(error, ''), attempt, term, holder, started_at, finished_at, next_at,
		exit_code, http_status, coalesce(output, '')
	from pgsolo.cron_run
	where job = $1 and ($2::timestamptz is null or scheduled_at < $2::timestamptz)
	order by scheduled_at desc limit $3::bigint`

// Runs returns the latest runs of a job, the latest one first, those scheduled before a time if it is not zero, at most limit.
func (c CronJobs) Runs(ctx context.Context, db Querier, job string, before time.Time, limit int) ([]Run, error) {
	runs, err := c.runs(ctx, db, job, before, limit)
	if err != nil {
		return nil, fmt.Errorf("list runs of cron job %q: %w", job, err)
	}
	return runs, nil
}

func (c CronJobs) runs(ctx context.Context, db Querier, job string, before time.Time, limit int) ([]Run, error) {
	schema, err := pg.SchemaOrDefault(c.Schema)
	if err != nil {
		return nil, err
	}
	if err := text.Check(job); err != nil {
		return nil, err
	}
	if limit < 0 {
		return nil, fmt.Errorf("limit %d is negative", limit)
	}
	rows, err := db.Query(ctx, pg.Place(selectRuns, schema), job, pg.TimeOrNull(before), limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (r Run, err error) {
		var started, finished, next *time.Time
		err = row.Scan(&r.Job, &r.ScheduledAt, &r.Cause, &r.Outcome, &r.Error, &r.Attempt, &r.Term, &r.Holder, &started, &finished, &next,
			&r.ExitCode, &r.HTTPStatus, &r.Output)
		r.StartedAt, r.FinishedAt, r.NextAt = pg.OrZero(started), pg.OrZero(finished), pg.OrZero(next)
		return r, err
	})
}
