package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/pgsolo/pgsolo/jobs/cron"
)

// cronBurst takes in the starts of many jobs at one instant.
type cronBurst struct {
	mu    sync.Mutex // guards all below
	at    time.Time  // zero: none is awaited
	late  []time.Duration
	seen  []bool // by the job's number
	twice int    // starts of a tick that had started before
}

// await makes it take in the starts at that instant, and no others.
func (b *cronBurst) await(at time.Time, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.at, b.late, b.seen = at, make([]time.Duration, 0, n), make([]bool, n)
}

// start returns the function of a job.
func (b *cronBurst) start(job int) cron.TickFunc {
	return func(_ context.Context, tick cron.Tick) error {
		late := lateness(tick.ScheduledAt)
		b.mu.Lock()
		defer b.mu.Unlock()
		switch {
		case !tick.ScheduledAt.Equal(b.at):
		case b.seen[job]:
			b.twice++
		default:
			b.seen[job] = true
			b.late = append(b.late, late)
		}
		return nil
	}
}

func (b *cronBurst) count() (started, twice int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.late), b.twice
}

// burstFigures are in milliseconds.
type burstFigures struct {
	late, last, written []float64
	inserts, updates    []float64 // of the floor: one INSERT, and that with one UPDATE
}

func (c *crons) measureBurst(ctx context.Context) (err error) {
	const figure = "cron_burst"
	b, names := &cronBurst{}, jobNames(c.sizes.crons)
	schedule := fmt.Sprintf("*/%d * * * * *", int(c.sizes.cronEvery.Seconds()))
	l, err := c.newCronLeader(ctx, sameJobs(c.sizes.crons, schedule, b.start))
	if err != nil {
		return fmt.Errorf("%s: %w", figure, err)
	}
	defer func() { err = errors.Join(err, l.close()) }()
	var figures burstFigures
	for i := range c.sizes.rounds {
		c.progress.step(figure, i+1, c.sizes.rounds)
		if err := c.writeAtOnce(ctx, names, &figures); err != nil {
			return fmt.Errorf("%s: floor: %w", figure, err)
		}
		// As autovacuum does between bursts, when no run is open: a plan for a table like that would not do for the
		// burst.
		if _, err := c.own.Exec(ctx, `analyze pgsolo.cron_run`); err != nil {
			return fmt.Errorf("%s: analyze: %w", figure, err)
		}
		if err := c.follow(ctx, l, b, &figures); err != nil {
			return fmt.Errorf("%s: %w", figure, err)
		}
	}
	return c.report(
		newFigure(figure, "ms", figures.late, figures.inserts, atMost("p99", 250)),
		newFigure(figure+"_last", "ms", figures.last, figures.inserts),
		newFigure(figure+"_written", "ms", figures.written, figures.updates),
	)
}

// writeAtOnce is the floor: the same rows, in two commits.
func (c *crons) writeAtOnce(ctx context.Context, names []string, figures *burstFigures) error {
	const (
		insertRuns = `insert into bench_cron_run (job, scheduled_at, term)
			select job, $2, $3 from unnest($1::text[]) job`
		finishRuns = `update bench_cron_run set outcome = 'ok', finished_at = clock_timestamp() where scheduled_at = $1`
	)
	began := time.Now()
	at := began.Truncate(time.Second)
	if _, err := c.own.Exec(ctx, insertRuns, names, at, c.term); err != nil {
		return fmt.Errorf("insert runs: %w", err)
	}
	figures.inserts = append(figures.inserts, milliseconds([]time.Duration{time.Since(began)})...)
	if _, err := c.own.Exec(ctx, finishRuns, at); err != nil {
		return fmt.Errorf("write outcomes: %w", err)
	}
	figures.updates = append(figures.updates, milliseconds([]time.Duration{time.Since(began)})...)
	return nil
}

// follow measures the next burst, and says what is wrong if it is not complete. Nothing looks at the server before the
// last start.
func (c *crons) follow(ctx context.Context, l *leader, b *cronBurst, figures *burstFigures) error {
	const (
		selectUnfinished = `select exists (select from pgsolo.cron_run where outcome = 'running')`
		countRuns        = `select count(*), count(*) filter (where outcome = 'ok')
			from pgsolo.cron_run where scheduled_at = $1`
	)
	at, n := nextOf(c.sizes.cronEvery), c.sizes.crons
	b.await(at, n)
	runtime.GC() // what others have left
	if err := elapse(ctx, time.Until(at)); err != nil {
		return err
	}
	err := await(ctx, fmt.Sprintf("%d starts", n), func(context.Context) (bool, error) {
		started, _ := b.count()
		return started >= n, l.broken()
	})
	started, _ := b.count()
	if err != nil {
		return fmt.Errorf("%d jobs have started: %w", started, err)
	}
	err = await(ctx, "all outcomes", func(ctx context.Context) (unfinished bool, err error) {
		err = c.own.QueryRow(ctx, selectUnfinished).Scan(&unfinished)
		return !unfinished, errors.Join(err, l.broken())
	})
	if err != nil {
		return err
	}
	written := lateness(at)
	var rows, ok int
	if err := c.own.QueryRow(ctx, countRuns, at).Scan(&rows, &ok); err != nil {
		return fmt.Errorf("count runs: %w", err)
	}
	if started, twice := b.count(); started != n || twice > 0 || rows != n || ok != n {
		const incomplete = "of %d jobs %d have started, %d of them twice;" +
			" there are %d rows, %d of them of runs that ended well"
		return fmt.Errorf(incomplete, n, started, twice, rows, ok)
	}
	late := milliseconds(b.late)
	figures.late = append(figures.late, late...)
	figures.last = append(figures.last, slices.Max(late))
	figures.written = append(figures.written, milliseconds([]time.Duration{written})...)
	return nil
}
