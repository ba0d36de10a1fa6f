package jobs

import (
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"
)

const (
	// How many ticks of a job wait for their turn at most, and MaxCatchUp more where MissedAll makes up for ticks. What comes due
	// then is skipped.
	maxQueued = 1000

	// How many attempts a run gets at most that is cut off again and again: it may be what kills its leaders.
	maxInterrupted = 10
)

// cronJob is a Cron with its defaults, and what is counted of it.
type cronJob struct {
	Cron
	schedules Schedules
	delay     time.Duration
	logger    hclog.Logger
	cronCounters
}

// newCronJob checks the Cron. Its errors name the job and the field.
func newCronJob(c Cron, logger hclog.Logger) (*cronJob, error) {
	c = c.withDefaults()
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("cron %q: %w", c.Name, err)
	}
	retry, err := c.Retry.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("cron %q: %w", c.Name, err)
	}
	c.Retry = retry
	schedules, err := ParseSchedules(c.Schedules, c.Location)
	if err != nil {
		return nil, fmt.Errorf("cron %q: Schedules: %w", c.Name, err)
	}
	return &cronJob{Cron: c, schedules: schedules, delay: c.Delay(), logger: logger.With("job", c.Name)}, nil
}

func (c Cron) withDefaults() Cron {
	if c.Location == nil {
		c.Location = time.UTC
	}
	orElse(&c.Timeout, time.Hour)
	orElse(&c.Missed, MissedOnce)
	orElse(&c.StartingDeadline, time.Hour)
	orElse(&c.MaxCatchUp, 1000)
	orElse(&c.Overlap, OverlapSkip)
	orElse(&c.OnInterrupt, InterruptAbandon)
	orElse(&c.Retry.Attempts, 1)
	orElse(&c.History.Runs, 100)
	orElse(&c.History.MaxAge, 30*24*time.Hour)
	orElse(&c.History.FailedRuns, 100)
	orElse(&c.History.FailedMaxAge, 90*24*time.Hour)
	return c
}

func (c Cron) check() error {
	switch {
	case c.Name == "":
		return wrong("Name", "is required")
	case c.Run == nil:
		return wrong("Run", "is required")
	case len(c.Schedules) == 0:
		return wrong("Schedules", "is required")
	case c.Jitter < 0:
		return wrong("Jitter", "%s is negative", c.Jitter)
	case c.Timeout < 0:
		return wrong("Timeout", "%s is negative", c.Timeout)
	case c.StartingDeadline < 0:
		return wrong("StartingDeadline", "%s is negative", c.StartingDeadline)
	case c.MaxCatchUp < 0:
		return wrong("MaxCatchUp", "%d is negative", c.MaxCatchUp)
	case c.Missed != MissedSkip && c.Missed != MissedOnce && c.Missed != MissedAll:
		return wrong("Missed", "%q: want skip, once or all", c.Missed)
	case c.Overlap != OverlapSkip && c.Overlap != OverlapQueue && c.Overlap != OverlapReplace && c.Overlap != OverlapAllow:
		return wrong("Overlap", "%q: want skip, queue, replace or allow", c.Overlap)
	case c.OnInterrupt != InterruptAbandon && c.OnInterrupt != InterruptRetry:
		return wrong("OnInterrupt", "%q: want abandon or retry", c.OnInterrupt)
	}
	if err := checkText(c.Name); err != nil {
		return wrong("Name", "has %w", err)
	}
	return nil
}

// retriesInterrupted says whether a run that was cut off in this attempt gets another one.
func (j *cronJob) retriesInterrupted(attempt int) bool {
	return j.OnInterrupt == InterruptRetry && attempt < max(maxInterrupted, j.Retry.Attempts)
}
