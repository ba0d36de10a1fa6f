package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/pgsolo/pgsolo/jobs/cron"
)

// loneTicks takes in the starts of a job of each second.
type loneTicks struct {
	mu    sync.Mutex // guards all below
	from  time.Time  // ticks before this are those of a leader that has just begun
	first time.Time
	last  time.Time
	late  []time.Duration
}

func (t *loneTicks) start(_ context.Context, tick cron.Tick) error {
	late := lateness(tick.ScheduledAt)
	t.mu.Lock()
	defer t.mu.Unlock()
	if tick.ScheduledAt.Before(t.from) {
		return nil
	}
	if len(t.late) == 0 {
		t.first = tick.ScheduledAt
	}
	t.last, t.late = tick.ScheduledAt, append(t.late, late)
	return nil
}

// samples returns at least n, when they are there. A tick that is missing would have been the latest of all: it voids
// them.
func (t *loneTicks) samples(n int) ([]time.Duration, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.late) < n {
		return nil, nil
	}
	if want := int(t.last.Sub(t.first)/time.Second) + 1; len(t.late) != want {
		return nil, fmt.Errorf("%d of %d ticks have started", len(t.late), want)
	}
	return slices.Clone(t.late), nil
}

// measureLone has the job and the floors run side by side, each at a part of the second of its own.
func (c *crons) measureLone(ctx context.Context) (err error) {
	const figure = "cron_lone"
	ticks := &loneTicks{from: nextOf(time.Second).Add(time.Second)}
	l, err := c.newCronLeader(ctx, []cron.Job{
		{Name: figure, Schedules: []string{everySecond}, Missed: cron.MissedAll, Run: ticks.start},
	})
	if err != nil {
		return fmt.Errorf("%s: %w", figure, err)
	}
	defer func() { err = errors.Join(err, l.close()) }()
	var timers, inserts []time.Duration
	for i := range c.sizes.lone {
		c.progress.step(figure, i+1, c.sizes.lone)
		second := time.Now().Truncate(time.Second).Add(time.Second)
		timer, err := timerError(ctx, second.Add(time.Second/3))
		if err != nil {
			return err
		}
		insert, err := c.timedInsert(ctx, second.Add(time.Second*2/3))
		if err != nil {
			return fmt.Errorf("%s: floor: %w", figure, err)
		}
		timers, inserts = append(timers, timer), append(inserts, insert)
	}
	var late []time.Duration
	err = await(ctx, "ticks", func(context.Context) (bool, error) {
		late, err = ticks.samples(c.sizes.lone)
		return len(late) > 0, errors.Join(err, l.broken())
	})
	if err != nil {
		return fmt.Errorf("%s: %w", figure, err)
	}
	return c.reportLone(milliseconds(late), milliseconds(timers), milliseconds(inserts))
}

func (c *crons) reportLone(late, timers, inserts []float64) error {
	p99 := func(samples []float64) float64 { return quantile(slices.Sorted(slices.Values(samples)), 0.99) }
	beyond := max(0, p99(late)-p99(timers))
	return c.report(
		newFigure("cron_timer", "ms", timers, nil),
		newFigure("cron_lone", "ms", late, inserts),
		newFigure("cron_lone_p99", "ms", []float64{p99(late)}, []float64{p99(inserts)}),
		newFigure("cron_lone_beyond", "ms", []float64{beyond}, nil, atMost("max", 5)),
	)
}

// timerError returns how late a timer for that instant is.
func timerError(ctx context.Context, at time.Time) (time.Duration, error) {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-timer.C:
		return lateness(at), nil
	}
}

// timedInsert returns how long after that instant a row of it is committed. Its context is none that could end, for
// which pgx would have to watch.
func (c *crons) timedInsert(ctx context.Context, at time.Time) (time.Duration, error) {
	const insertRun = `insert into bench_cron_run (job, scheduled_at, term) values ('lone', $1, $2)`
	if _, err := timerError(ctx, at); err != nil {
		return 0, err
	}
	if _, err := c.own.Exec(context.Background(), insertRun, at, c.term); err != nil {
		return 0, fmt.Errorf("insert run: %w", err)
	}
	return lateness(at), nil
}
