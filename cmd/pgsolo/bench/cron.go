package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgsolo/pgsolo/jobs/cron"
)

const cronFigures = `How late cron jobs start, and what they cost, alone and by the thousand.

  cron_burst          10,000 jobs of one schedule (1,000 with --quick), whose functions do nothing:
                      from the instant that it names to the call of each function; its row is
                      committed before that
  cron_burst_last     from that instant to the last of these calls

Their floor is one INSERT of as many rows into a copy of the table of runs, its commit included.

  cron_burst_written  from that instant until every outcome is written

Its floor is that INSERT, and then one UPDATE of all these rows.

  cron_idle           time of this process, in percent of one core, as the leader of 10,000 jobs (1,000
                      with --quick) of which none starts
  cron_idle_server    time of the leader's sessions in the server, likewise, on Linux where the server
                      is this machine's

Their floor is the same with one job.

  cron_timer          how late a bare timer of Go is, at a third of each second
  cron_lone           how late a job of each second starts, with no other one
  cron_lone_p99       the 99th percentile of that
  cron_lone_beyond    the 99th percentile of cron_lone, less that of cron_timer

The floor of cron_lone and cron_lone_p99 is such a timer, at two thirds of each second, and then an
INSERT of a single row, its commit included.

  cron_takeover       from the begin of a term to the first start of a job that is due; there are 10,000
                      more jobs (1,000 with --quick), which earlier leaders knew and which have 20 ended
                      runs each

Its floor is one SELECT of the rows of all jobs. It is no goal.

Leader and floor share this process, and take turns but for the lone ticks. With -n 100 there are
5 bursts, 5 takeovers and 100 lone ticks. The figures of bursts are void, and the bench ends, if a tick
of one is missing or comes twice.`

// crons are the figures of cron jobs.
type crons struct {
	*run
	term int64 // of the latest leader
}

func measureCron(ctx context.Context, r *run) error {
	c := &crons{run: r}
	if _, err := c.own.Exec(ctx, `create table bench_cron_run (like pgsolo.cron_run including all)`); err != nil {
		return fmt.Errorf("make the floor's table: %w", err)
	}
	for _, measure := range []func(context.Context) error{
		c.measureBurst, c.measureIdle, c.measureLone, c.measureTakeover,
	} {
		if err := measure(ctx); err != nil {
			return err
		}
		const forgetJobs = `truncate pgsolo.cron_job, pgsolo.cron_run, bench_cron_run`
		if _, err := c.own.Exec(ctx, forgetJobs); err != nil {
			return fmt.Errorf("forget the jobs: %w", err)
		}
	}
	return nil
}

const (
	yearly      = "0 0 1 1 *" // nothing starts while it is watched
	everySecond = "* * * * * *"
)

// jobNames returns n names.
func jobNames(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("bench_%05d", i))
	}
	return names
}

// sameJobs are n jobs of one schedule. of returns the function of each, by its number.
func sameJobs(n int, schedule string, of func(int) cron.TickFunc) (list []cron.Job) {
	for i, name := range jobNames(n) {
		list = append(list, cron.Job{Name: name, Schedules: []string{schedule}, Run: of(i)})
	}
	return list
}

func doNothing(int) cron.TickFunc {
	return func(context.Context, cron.Tick) error { return nil }
}

// newCronLeader is a leader that has taken over the jobs, and waits for the next ticks of all. The caller closes it.
func (c *crons) newCronLeader(ctx context.Context, list []cron.Job) (*leader, error) {
	l, err := c.newLeader(ctx, work{crons: list})
	if err != nil {
		return nil, err
	}
	c.leadNext(ctx, l)
	err = await(ctx, "the leader to wait for the next ticks", func(context.Context) (bool, error) {
		for _, s := range l.crons.Stats() {
			if s.Next.IsZero() {
				return false, l.broken()
			}
		}
		return true, l.broken()
	})
	if err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

// leadNext begins the next term.
func (c *crons) leadNext(ctx context.Context, l *leader) {
	c.term++
	l.lead(ctx, c.term)
}

// lateness is how long ago that instant was, by the clock that schedules go by.
func lateness(at time.Time) time.Duration { return time.Since(at.Round(0)) }

// nextOf returns the first multiple of every that is at least a second away.
func nextOf(every time.Duration) time.Time {
	return time.Now().Add(time.Second).Truncate(every).Add(every)
}
