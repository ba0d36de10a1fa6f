package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/pgsolo/pgsolo/jobs/cron"
)

// measureTakeover has one leader after another take over the same jobs. One of these is always due.
func (c *crons) measureTakeover(ctx context.Context) error {
	const figure = "cron_takeover"
	started := make(chan time.Time, 1) // the first start of the term; never closed
	list := append(sameJobs(c.sizes.crons, yearly, doNothing), cron.Job{
		Name: figure, Schedules: []string{everySecond}, Run: func(context.Context, cron.Tick) error {
			select {
			case started <- time.Now():
			default:
			}
			return nil
		},
	})
	if err := c.makeHistory(ctx, list); err != nil {
		return fmt.Errorf("%s: %w", figure, err)
	}
	var floors, samples []time.Duration
	for i := range c.sizes.takeovers {
		c.progress.step(figure, i+1, c.sizes.takeovers)
		floor, err := c.readJobs(ctx)
		if err != nil {
			return fmt.Errorf("%s: floor: %w", figure, err)
		}
		sample, err := c.takeOver(ctx, list, started)
		if err != nil {
			return fmt.Errorf("%s: %w", figure, err)
		}
		floors, samples = append(floors, floor), append(samples, sample)
	}
	return c.report(newFigure(figure, "ms", milliseconds(samples), milliseconds(floors)))
}

// makeHistory makes the jobs known, and gives them runs that have ended, of the days before.
func (c *crons) makeHistory(ctx context.Context, list []cron.Job) error {
	const (
		insertRuns = `insert into pgsolo.cron_run (job, scheduled_at, term, outcome, started_at, finished_at)
			select job, at, $1, 'ok', at, at
			from pgsolo.cron_job cross join generate_series(1, 20) days,
				lateral (select date_trunc('second', now()) - days * interval '1 day' as at) _`
		vacuumTables = `vacuum analyze pgsolo.cron_job, pgsolo.cron_run`
	)
	l, err := c.newCronLeader(ctx, list)
	if err != nil {
		return err
	}
	if err := l.close(); err != nil {
		return err
	}
	if _, err := c.own.Exec(ctx, insertRuns, c.term); err != nil {
		return fmt.Errorf("make a history: %w", err)
	}
	if _, err := c.own.Exec(ctx, vacuumTables); err != nil {
		return fmt.Errorf("vacuum the tables of cron jobs: %w", err)
	}
	return nil
}

// readJobs is the floor.
func (c *crons) readJobs(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	rows, err := c.own.Query(ctx, `select * from pgsolo.cron_job`)
	if err != nil {
		return 0, fmt.Errorf("read jobs: %w", err)
	}
	n := 0
	for rows.Next() {
		n++
	}
	if err := rows.Err(); err != nil {
		return 0, fmt.Errorf("read jobs: %w", err)
	}
	if n != c.sizes.crons+1 {
		return 0, fmt.Errorf("%d jobs are known, want %d", n, c.sizes.crons+1)
	}
	return time.Since(began), nil
}

// takeOver returns how long a new leader takes to the first start. Before it begins, a tick has passed that the last
// one has not started.
func (c *crons) takeOver(
	ctx context.Context, list []cron.Job, started <-chan time.Time,
) (took time.Duration, err error) {
	l, err := c.newLeader(ctx, work{crons: list})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	select {
	case <-started: // of the last leader
	default:
	}
	const past = 20 * time.Millisecond
	if err := elapse(ctx, time.Until(time.Now().Truncate(time.Second).Add(time.Second+past))); err != nil {
		return 0, err
	}
	runtime.GC() // what others have left
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	began := time.Now()
	c.leadNext(ctx, l)
	select {
	case at := <-started:
		return at.Sub(began), nil
	case <-l.ended:
		return 0, l.broken()
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-timeout.C:
		return 0, fmt.Errorf("no job has started for %s", patience)
	}
}
