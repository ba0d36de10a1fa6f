package cron

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/cron/internal/rows"
	"github.com/pgsolo/pgsolo/jobs/internal/text"
	"github.com/pgsolo/pgsolo/jobs/schedule"
)

// job is a Job with its defaults, and what is counted of it.
type job struct {
	Job
	schedules schedule.Set
	delay     time.Duration
	logger    hclog.Logger
	counters
}

// newJob checks the Job. Its errors name the job and the field.
func newJob(c Job, logger hclog.Logger) (*job, error) {
	c, schedules, err := c.checked()
	if err != nil {
		return nil, fmt.Errorf("cron %q: %w", c.Name, err)
	}
	return &job{Job: c, schedules: schedules, delay: c.Delay(), logger: logger.With("job", c.Name)}, nil
}

// row is what a claim makes known of the job.
func (j *job) row() rows.Job {
	return rows.Job{Name: j.Name, Schedule: j.schedules.String(), Enabled: !j.Disabled, Delay: j.delay}
}

// checked returns the job with its defaults, and its schedules.
func (c Job) checked() (Job, schedule.Set, error) {
	c = c.WithDefaults()
	if err := c.check(); err != nil {
		return c, nil, err
	}
	schedules, err := schedule.ParseAll(c.Schedules, c.Location)
	if err != nil {
		return c, nil, jobs.NewFieldError("Schedules", ": %w", err)
	}
	return c, schedules, nil
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
	}
	for _, err := range []error{
		checkPolicy("Missed", c.Missed, MissedSkip, MissedOnce, MissedAll),
		checkPolicy("Overlap", c.Overlap, Overlaps()...),
		checkPolicy("OnInterrupt", c.OnInterrupt, InterruptAbandon, InterruptRetry),
	} {
		if err != nil {
			return err
		}
	}
	if err := text.Check(c.Name); err != nil {
		return jobs.NewFieldError("Name", "has %w", err)
	}
	return c.Retry.Check()
}

// checkPolicy checks that a policy is one of all.
func checkPolicy[P ~string](field string, policy P, all ...P) error {
	if slices.Contains(all, policy) {
		return nil
	}
	want := string(all[0])
	for i, p := range all[1:] {
		separator := ", "
		if i == len(all)-2 {
			separator = " or "
		}
		want += separator + string(p)
	}
	return jobs.NewFieldError(field, "%q: want %s", policy, want)
}
