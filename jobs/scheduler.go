package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"
)

// scheduler runs all cron jobs of a Runner. It follows their schedules on this process's clock. What keeps a tick from starting
// twice is its row in the database, whatever the clocks say.
type scheduler struct {
	jobs      []*cronJob
	store     cronStore
	subscribe func(channel string) (Subscription, error) // nil: the database is asked more often instead
	logger    hclog.Logger

	// The clock; tests replace it. Without its monotonic reading, so that differences follow the clock when it is set.
	now   func() time.Time
	after func(time.Duration) <-chan time.Time

	pulse pulse
}

func newScheduler(options Options, logger hclog.Logger) (*scheduler, error) {
	s := &scheduler{
		store:     cronStore{pool: options.Pool, schema: options.Schema, group: options.Group},
		subscribe: options.Subscribe, logger: logger,
		now: func() time.Time { return time.Now().Round(0) }, after: time.After,
	}
	names := map[string]bool{}
	for _, c := range options.Crons {
		job, err := newCronJob(c, logger)
		if err != nil {
			return nil, err
		}
		if names[c.Name] {
			return nil, fmt.Errorf("two cron jobs are named %q", c.Name)
		}
		names[c.Name] = true
		s.jobs = append(s.jobs, job)
	}
	return s, nil
}

// run runs the jobs for the leader of this term. It ends
//
//   - when Stopping is closed: no run is begun any more, those under way may finish, and their outcomes are written;
//   - when ctx is done, before or after that: the runs under way are cancelled, and waited for;
//   - with ErrFenced when a newer leader has claimed the jobs, or with an error when the database has failed for persistFor.
//
// It returns nil in the first two cases. Nothing that it started runs any more then.
func (s *scheduler) run(ctx context.Context, lead Lead) error {
	defer s.pulse.end()
	s.pulse.beat()
	t := newCronTerm(s, lead)
	err := t.claim(ctx)
	if isNotAllowed(err) && len(s.jobs) == 0 {
		return nil // nor does the role need to, until there are jobs
	}
	if err == nil && len(s.jobs) > 0 {
		err = t.lead(ctx)
	}
	if err == nil || ctx.Err() != nil && !errors.Is(err, ErrFenced) {
		return nil
	}
	return fmt.Errorf("cron: %w", err)
}

func (s *scheduler) persist(ctx context.Context, what string, do func(context.Context) error) error {
	return persist(ctx, s.logger, what, s.pulse.during(do))
}
