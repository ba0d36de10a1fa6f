package rows

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// channel is where pause_job, resume_job and trigger_job notify, and a claim that takes a job of another group.
const channel = "pgsolo.cron"

// Channel is the channel of NOTIFY in the store's schema that announces commands.
func (s Store) Channel() string { return s.DB.Place(channel) }

var (
	selectPausedJobs = `select job from pgsolo.cron_job where paused_at is not null and "group" = $1`

	selectTriggeredRuns = `select r.job, r.scheduled_at, r.forced
		from pgsolo.cron_run r join pgsolo.cron_job j on j.job = r.job and j."group" = $1
		where r.outcome = 'queued' and r.cause = 'manual' order by r.scheduled_at`

	// When a pause has ended, which may be a while ago.
	selectResumed = `select job, ` + finite(`last_at`) + ` from pgsolo.cron_job where job = any ($1::text[])`

	// Another group's leader may have claimed a job of this one, or another leader of this group has another
	// configuration. Names are read where their number is not that of this leader's jobs: it has no job of the group
	// that it did not claim itself.
	selectOwn = `select l.term, case when c.count <> $2
			then array(select job from pgsolo.cron_job where "group" = $1 and forgotten_at is null) end
		from (select count(*) from pgsolo.cron_job where "group" = $1 and forgotten_at is null) c
			left join pgsolo.cron_leader l on l."group" = $1`
)

// Commands are what operators have done to the jobs of a group.
type Commands struct {
	Paused    map[string]bool
	Triggered []Triggered // and not started, the oldest first
	Term      int64       // of the group's latest leader; 0: none
	Jobs      []string    // that the group has; nil: as many as this leader
}

// Triggered is a manual run.
type Triggered struct {
	Job    string
	At     time.Time
	Forced bool
}

// Commands reads which of the group's jobs are paused and what was triggered. own is how many jobs this leader has.
func (s Store) Commands(ctx context.Context, own int) (c Commands, err error) {
	c.Paused = map[string]bool{}
	batch := s.DB.Batch()
	batch.Queue(selectPausedJobs, s.Group).Query(func(rows pgx.Rows) error {
		var job string
		_, err := pgx.ForEachRow(rows, []any{&job}, func() error { c.Paused[job] = true; return nil })
		return err
	})
	batch.Queue(selectTriggeredRuns, s.Group).Query(func(rows pgx.Rows) (err error) {
		c.Triggered, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (r Triggered, err error) {
			return r, row.Scan(&r.Job, &r.At, &r.Forced)
		})
		return err
	})
	batch.Queue(selectOwn, s.Group, own).QueryRow(func(row pgx.Row) error {
		var term *int64
		if err := row.Scan(&term, &c.Jobs); err != nil || term == nil {
			return err
		}
		c.Term = *term
		return nil
	})
	err = s.send(ctx, batch)
	return c, err
}

// Now is what the database's clock shows.
func (s Store) Now(ctx context.Context) (now time.Time, err error) {
	err = s.DB.QueryRow(ctx, `select clock_timestamp()`).Scan(&now)
	return now, err
}

// Resumed returns for each job up to when its ticks were those of a pause.
func (s Store) Resumed(ctx context.Context, jobs []string) (since map[string]time.Time, err error) {
	since = map[string]time.Time{}
	batch := s.DB.Batch()
	batch.Queue(selectResumed, jobs).Query(func(rows pgx.Rows) error {
		var (
			job string
			at  time.Time
		)
		_, err := pgx.ForEachRow(rows, []any{&job, &at}, func() error { since[job] = at; return nil })
		return err
	})
	return since, s.send(ctx, batch)
}
