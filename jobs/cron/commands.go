package cron

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

const (
	// How often the database is asked what somebody has paused, resumed or triggered: where there is a subscription for that, and
	// where there is none.
	lookWhenTold = 10 * time.Second
	lookUntold   = 500 * time.Millisecond

	// cronChannel is where the functions tell that somebody has paused, resumed or triggered a job.
	channel = "pgsolo.cron"
)

const (
	selectPausedJobs = `select job from pgsolo.cron_job where paused_at is not null and "group" = $1`

	selectTriggeredRuns = `select r.job, r.scheduled_at, r.forced
		from pgsolo.cron_run r join pgsolo.cron_job j on j.job = r.job and j."group" = $1
		where r.outcome = 'queued' and r.cause = 'manual' order by r.scheduled_at`

	// When a pause has ended, which may be a while ago.
	selectResumed = `select job, last_at from pgsolo.cron_job where job = any ($1::text[])`

	// Another group's leader has claimed a job of this one, or another leader of this group has another configuration.
	countCronJobs = `select count(*) from pgsolo.cron_job where "group" = $1 and forgotten_at is null`
)

// triggeredRun is one that somebody has asked for.
type triggeredRun struct {
	job    string
	at     time.Time
	forced bool
}

// commands returns which of the group's jobs are paused, what was triggered and is not started, and how many jobs there are.
func (s store) commands(ctx context.Context) (paused map[string]bool, triggered []triggeredRun, jobs int, err error) {
	paused = map[string]bool{}
	batch := &pgx.Batch{}
	batch.Queue(pg.Place(selectPausedJobs, s.schema), s.group).Query(func(rows pgx.Rows) error {
		var job string
		_, err := pgx.ForEachRow(rows, []any{&job}, func() error { paused[job] = true; return nil })
		return err
	})
	batch.Queue(pg.Place(selectTriggeredRuns, s.schema), s.group).Query(func(rows pgx.Rows) (err error) {
		triggered, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (r triggeredRun, err error) {
			return r, row.Scan(&r.job, &r.at, &r.forced)
		})
		return err
	})
	batch.Queue(pg.Place(countCronJobs, s.schema), s.group).QueryRow(func(row pgx.Row) error { return row.Scan(&jobs) })
	return paused, triggered, jobs, s.send(ctx, batch)
}

// resumed returns for each job up to when its ticks were those of a pause.
func (s store) resumed(ctx context.Context, jobs []string) (since map[string]time.Time, err error) {
	since = map[string]time.Time{}
	batch := &pgx.Batch{}
	batch.Queue(pg.Place(selectResumed, s.schema), jobs).Query(func(rows pgx.Rows) error {
		var (
			job string
			at  time.Time
		)
		_, err := pgx.ForEachRow(rows, []any{&job, &at}, func() error { since[job] = at; return nil })
		return err
	})
	return since, s.send(ctx, batch)
}

// untilAsking returns how long until the database is to be asked again.
func (t *term) untilAsking() time.Duration {
	every := lookUntold
	if t.told != nil {
		every = lookWhenTold
	}
	return max(0, every-time.Since(t.askedAt))
}

// hear follows what somebody has paused, resumed or triggered, if it is time to ask.
func (t *term) hear(ctx context.Context) error {
	if t.untilAsking() > 0 {
		return nil
	}
	var (
		paused    map[string]bool
		triggered []triggeredRun
		known     int
	)
	t.askedAt = time.Now()
	err := t.persist(ctx, "look for commands", func(ctx context.Context) (err error) {
		paused, triggered, known, err = t.store.commands(ctx)
		return err
	})
	if err != nil {
		return err
	}
	if known != len(t.jobs) {
		return fmt.Errorf("this leader has %d jobs, the database %d: another election has taken or left some: %w", len(t.jobs), known, jobs.ErrFenced)
	}
	if err := t.pauseAndResume(ctx, paused); err != nil {
		return err
	}
	for _, r := range triggered {
		if j, ok := t.byName[r.job]; ok {
			t.trigger(j, &run{job: j, at: r.at, cause: causeManual, forced: r.forced})
		}
	}
	return nil
}

// pauseAndResume follows which jobs are paused.
func (t *term) pauseAndResume(ctx context.Context, paused map[string]bool) error {
	var resumed []string
	for _, j := range t.jobs {
		switch {
		case paused[j.Name] && !j.paused:
			j.logger.Info("job paused")
			j.paused = true
			t.touch(j)
		case !paused[j.Name] && j.paused:
			resumed = append(resumed, j.Name)
		}
	}
	if len(resumed) == 0 {
		return nil
	}
	var since map[string]time.Time
	err := t.persist(ctx, "look for the end of pauses", func(ctx context.Context) (err error) {
		since, err = t.store.resumed(ctx, resumed)
		return err
	})
	if err != nil {
		return err
	}
	now := t.now()
	for name, at := range since {
		j := t.byName[name]
		j.logger.Info("job resumed")
		j.paused = false
		if at.After(now) { // by the server's clock
			at = now
		}
		if at = at.Add(-j.delay); at.After(j.last) {
			j.last = at
		}
		j.next = j.schedules.Next(j.last)
		t.touch(j)
	}
	return nil
}

// trigger starts a run that somebody has asked for, or does what the overlap policy says.
func (t *term) trigger(j *jobTerm, r *run) {
	if t.open[r.key()] != nil {
		return // it waits for its turn
	}
	t.open[r.key()] = r
	j.logger.Info("job triggered", "scheduled_at", r.at, "forced", r.forced)
	switch {
	case t.now().Before(j.heldUntil):
		j.queue = append(j.queue, r)
	case r.forced || !j.busy() || j.Overlap == OverlapAllow:
		t.startAgain(j, r)
	case j.Overlap == OverlapQueue:
		j.queue = append(j.queue, r)
	case j.Overlap == OverlapReplace:
		t.replace(j, r.at)
		j.queue = append(j.queue, r)
	default:
		t.giveUp(r, outcomeSkipped, errOverlap.Error())
	}
	t.touch(j)
}
