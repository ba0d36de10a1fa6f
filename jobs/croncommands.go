package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	selectPausedJobs = `select job from pgsolo.cron_job where paused_at is not null and "group" = $1`

	selectTriggeredRuns = `select r.job, r.scheduled_at, r.forced
		from pgsolo.cron_run r join pgsolo.cron_job j on j.job = r.job and j."group" = $1
		where r.outcome = 'queued' and r.cause = 'manual' order by r.scheduled_at`

	// Another group's leader has claimed a job of this one, or another leader of this group has another configuration.
	countCronJobs = `select count(*) from pgsolo.cron_job where "group" = $1 and configured`
)

// triggeredRun is one that somebody has asked for.
type triggeredRun struct {
	job    string
	at     time.Time
	forced bool
}

// commands returns which of the group's jobs are paused, what was triggered and is not started, and how many jobs there are.
func (s cronStore) commands(ctx context.Context) (paused map[string]bool, triggered []triggeredRun, jobs int, err error) {
	paused = map[string]bool{}
	batch := &pgx.Batch{}
	batch.Queue(inSchema(selectPausedJobs, s.schema), s.group).Query(func(rows pgx.Rows) error {
		var job string
		_, err := pgx.ForEachRow(rows, []any{&job}, func() error { paused[job] = true; return nil })
		return err
	})
	batch.Queue(inSchema(selectTriggeredRuns, s.schema), s.group).Query(func(rows pgx.Rows) (err error) {
		triggered, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (r triggeredRun, err error) {
			return r, row.Scan(&r.job, &r.at, &r.forced)
		})
		return err
	})
	batch.Queue(inSchema(countCronJobs, s.schema), s.group).QueryRow(func(row pgx.Row) error { return row.Scan(&jobs) })
	return paused, triggered, jobs, s.send(ctx, batch)
}

// untilAsking returns how long until the database is to be asked again.
func (t *cronTerm) untilAsking() time.Duration {
	every := lookUntold
	if t.told != nil {
		every = lookWhenTold
	}
	return max(0, every-time.Since(t.askedAt))
}

// hear follows what somebody has paused, resumed or triggered, if it is time to ask.
func (t *cronTerm) hear(ctx context.Context) error {
	if t.untilAsking() > 0 {
		return nil
	}
	var (
		paused    map[string]bool
		triggered []triggeredRun
		jobs      int
	)
	t.askedAt = time.Now()
	err := t.persist(ctx, "look for commands", func(ctx context.Context) (err error) {
		paused, triggered, jobs, err = t.store.commands(ctx)
		return err
	})
	if err != nil {
		return err
	}
	if jobs != len(t.jobs) {
		return fmt.Errorf("this leader has %d jobs, the database %d: another election has taken or left some: %w", len(t.jobs), jobs, ErrFenced)
	}
	for _, j := range t.jobs {
		switch {
		case paused[j.Name] && !j.paused:
			j.logger.Info("job paused")
			j.paused = true
			t.touch(j)
		case !paused[j.Name] && j.paused:
			j.logger.Info("job resumed")
			j.paused = false
			if limit := t.now().Add(-j.delay); j.last.Before(limit) {
				j.last = limit
			}
			j.next = j.schedules.Next(j.last)
			t.touch(j)
		}
	}
	for _, run := range triggered {
		if j, ok := t.byName[run.job]; ok {
			t.trigger(j, &cronRun{job: j, at: run.at, cause: causeManual, forced: run.forced})
		}
	}
	return nil
}

// trigger starts a run that somebody has asked for, or does what the overlap policy says.
func (t *cronTerm) trigger(j *jobTerm, r *cronRun) {
	if t.open[r.key()] != nil {
		return // it waits for its turn
	}
	t.open[r.key()] = r
	j.logger.Info("job triggered", "scheduled_at", r.at, "forced", r.forced)
	switch {
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
