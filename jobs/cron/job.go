package cron

import (
	"cmp"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/text"
	"github.com/pgsolo/pgsolo/jobs/schedule"
)

const (
	// How many ticks of a job wait for their turn at most, and MaxCatchUp more where MissedAll makes up for ticks. What comes due
	// then is skipped.
	maxQueued = 1000

	// How many attempts a run gets at most that is cut off again and again: it may be what kills its leaders.
	maxInterrupted = 10
)

// job is a Cron with its defaults, and what is counted of it.
type job struct {
	Job
	schedules schedule.Set
	delay     time.Duration
	logger    hclog.Logger
	counters
}

// newJob checks the Cron. Its errors name the job and the field.
func newJob(c Job, logger hclog.Logger) (*job, error) {
	c = c.WithDefaults()
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("cron %q: %w", c.Name, err)
	}
	schedules, err := schedule.ParseAll(c.Schedules, c.Location)
	if err != nil {
		return nil, fmt.Errorf("cron %q: Schedules: %w", c.Name, err)
	}
	return &job{Job: c, schedules: schedules, delay: c.Delay(), logger: logger.With("job", c.Name)}, nil
}

// WithDefaults fills in what was left out. What is wrong stays as it is: New refuses it.
func (c Job) WithDefaults() Job {
	if c.Location == nil {
		c.Location = time.UTC
	}
	c.Timeout = cmp.Or(c.Timeout, time.Hour)
	c.Missed = cmp.Or(c.Missed, MissedOnce)
	c.StartingDeadline = cmp.Or(c.StartingDeadline, time.Hour)
	c.MaxCatchUp = cmp.Or(c.MaxCatchUp, 1000)
	c.Overlap = cmp.Or(c.Overlap, OverlapSkip)
	c.OnInterrupt = cmp.Or(c.OnInterrupt, InterruptAbandon)
	c.Retry.Attempts = cmp.Or(c.Retry.Attempts, 1)
	c.Retry = c.Retry.WithDefaults()
	c.History.Runs = cmp.Or(c.History.Runs, 100)
	c.History.MaxAge = cmp.Or(c.History.MaxAge, 30*24*time.Hour)
	c.History.FailedRuns = cmp.Or(c.History.FailedRuns, 100)
	c.History.FailedMaxAge = cmp.Or(c.History.FailedMaxAge, 90*24*time.Hour)
	return c
}

func (c Job) check() error {
	switch {
	case c.Name == "":
		return jobs.NewFieldError("Name", "is required")
	case c.Run == nil:
		return jobs.NewFieldError("Run", "is required")
	case len(c.Schedules) == 0:
		return jobs.NewFieldError("Schedules", "is required")
	case c.Jitter < 0:
		return jobs.NewFieldError("Jitter", "%s is negative", c.Jitter)
	case c.Timeout < 0:
		return jobs.NewFieldError("Timeout", "%s is negative", c.Timeout)
	case c.StartingDeadline < 0:
		return jobs.NewFieldError("StartingDeadline", "%s is negative", c.StartingDeadline)
	case c.MaxCatchUp < 0:
		return jobs.NewFieldError("MaxCatchUp", "%d is negative", c.MaxCatchUp)
	case c.Missed != MissedSkip && c.Missed != MissedOnce && c.Missed != MissedAll:
		return jobs.NewFieldError("Missed", "%q: want skip, once or all", c.Missed)
	case c.Overlap != OverlapSkip && c.Overlap != OverlapQueue && c.Overlap != OverlapReplace && c.Overlap != OverlapAllow:
		return jobs.NewFieldError("Overlap", "%q: want skip, queue, replace or allow", c.Overlap)
	case c.OnInterrupt != InterruptAbandon && c.OnInterrupt != InterruptRetry:
		return jobs.NewFieldError("OnInterrupt", "%q: want abandon or retry", c.OnInterrupt)
	}
	if err := text.Check(c.Name); err != nil {
		return jobs.NewFieldError("Name", "has %w", err)
	}
	return c.Retry.Check()
}

// retriesInterrupted says whether a run that was cut off in this attempt gets another one.
func (j *job) retriesInterrupted(attempt int) bool {
	return j.OnInterrupt == InterruptRetry && attempt < max(maxInterrupted, j.Retry.Attempts)
}
