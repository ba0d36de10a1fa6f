package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgsolo/pgsolo/jobs/internal/pg"
	"github.com/pgsolo/pgsolo/jobs/internal/text"
)

// ErrUnknownJob means that no leader has a cron job of this name. The error that wraps it lists those that there are.
var ErrUnknownJob = errors.New("no such cron job")

// CronJobs pauses, resumes and triggers the cron jobs in one schema, and shows their history. The zero value is ready
// for use, by any goroutine.
type CronJobs struct {
	Schema string // default jobs.DefaultSchema
}

// Pause keeps a job from starting until it is resumed, over any number of leaders. A run that is under way goes on, and
// one that waits for a retry or for its turn keeps waiting. The job can still be triggered. A second call changes
// nothing.
func (c CronJobs) Pause(ctx context.Context, db Querier, job string) error {
	return c.call(ctx, db, "pause", `select pgsolo.pause_job($1)::text`, job)
}

// Resume ends a pause. Ticks that came due during it are not made up for.
func (c CronJobs) Resume(ctx context.Context, db Querier, job string) error {
	return c.call(ctx, db, "resume", `select pgsolo.resume_job($1)::text`, job)
}

// Trigger has a job run now, beside its schedule, also while it is paused or not enabled, and returns the ScheduledAt
// of the run. If a run of the job is under way, its overlap policy decides, unless force is set: then the new one
// starts beside it. More than ten forced ones of a job, or a hundred of all, are refused (SQLSTATE 53400), and so are
// more than a thousand that wait for their turn.
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
