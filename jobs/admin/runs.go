package admin

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs/internal/pg"
	"github.com/pgsolo/pgsolo/jobs/internal/text"
)

// Run is a row of a cron job's history: a tick, or a manual run.
type Run struct {
	Job         string
	ScheduledAt time.Time
	Cause       string // "schedule", "catch_up" or "manual"

	// Outcome is "ok", "failed", "interrupted", "replaced", "skipped" or "missed", and while the row is open "queued",
	// "running" or "retrying".
	Outcome    string
	Error      string    // why it is not ok; of the latest attempt
	Attempt    int       // 0: none yet
	Term       int64     // of the leader of the latest attempt
	Holder     string    // that leader
	StartedAt  time.Time // of the latest attempt; zero: none
	FinishedAt time.Time // when the outcome was written; of the latest attempt, if there is one; zero: not yet
	NextAt     time.Time // of the next attempt; zero: none is waited for
	ExitCode   *int      // of a program
	HTTPStatus *int      // of a response
	Output     string    // the last 64 KiB
}

const selectRuns = `select job, scheduled_at, cause, outcome, coalesce(error, ''), attempt, term, holder,
		started_at, finished_at, next_at,
		exit_code, http_status, coalesce(output, '')
	from pgsolo.cron_run
	where job = $1 and ($2::timestamptz is null or scheduled_at < $2::timestamptz)
	order by scheduled_at desc limit $3::bigint`

// Runs returns at most limit runs of a job, the latest first. If before is not zero, they are those scheduled before
// it.
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
		err = row.Scan(&r.Job, &r.ScheduledAt, &r.Cause, &r.Outcome, &r.Error, &r.Attempt, &r.Term, &r.Holder,
			&started, &finished, &next, &r.ExitCode, &r.HTTPStatus, &r.Output)
		r.StartedAt, r.FinishedAt, r.NextAt = pg.OrZero(started), pg.OrZero(finished), pg.OrZero(next)
		return r, err
	})
}
