package cron

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/cron/internal/rows"
	"github.com/pgsolo/pgsolo/jobs/internal/group"
	"github.com/pgsolo/pgsolo/jobs/internal/loop"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// Scheduler runs cron jobs for one leader at a time. It is a jobs.Engine. It follows their schedules on this process's
// clock. What keeps a tick from starting twice is its row in the database, whatever the clocks say.
type Scheduler struct {
	jobs      []*job
	group     group.Group
	declared  group.Declared
	store     rows.Store
	subscribe func(channel string) (jobs.Subscription, error) // nil: the database is asked more often instead
	logger    hclog.Logger

	// The clock; tests replace it. Without its monotonic reading, so that differences follow the clock when it is set.
	now       func() time.Time
	after     func(time.Duration) <-chan time.Time
	serverNow func(context.Context) (time.Time, error) // the database's

	pulse loop.Pulse
}

// New checks the options. Its errors name the job and the field.
func New(options Options) (*Scheduler, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	of := group.Group{
		DB: pg.DB{Pool: options.Pool, Schema: options.Schema}, Name: options.Group, ForgetAfter: options.ForgetAfter,
	}
	s := &Scheduler{
		group: of, store: rows.Store{DB: of.DB, Group: of.Name, Grace: of.Grace(), Shared: options.Shared},
		subscribe: options.Subscribe, logger: options.Logger,
		now: func() time.Time { return time.Now().Round(0) }, after: time.After,
	}
	s.serverNow = s.store.Now
	names := map[string]bool{}
	for _, c := range options.Jobs {
		job, err := newJob(c, options.Logger)
		if err != nil {
			return nil, fmt.Errorf("jobs: %w", err)
		}
		if names[c.Name] {
			return nil, fmt.Errorf("jobs: two cron jobs are named %q", c.Name)
		}
		names[c.Name] = true
		s.jobs = append(s.jobs, job)
	}
	s.declared = group.Encode(group.Cron, s.declares())
	return s, nil
}

// Run runs the jobs for the leader of this term. It ends
//
//   - when Stopping is closed: no run is begun any more, those under way may finish, and their outcomes are written;
//   - when ctx is done, before or after that: the runs under way are cancelled, and waited for;
//   - with jobs.ErrFenced when a newer leader has claimed the jobs, or with an error when the database has failed for
//     30 s.
//
// It returns nil in the first two cases. Nothing that it started runs any more then.
func (s *Scheduler) Run(ctx context.Context, lead jobs.Lead) (err error) {
	defer s.pulse.End()
	s.pulse.Mark()
	leadership, end := loop.Lead(ctx, lead.Number, lead.Holder, lead.Stopping, lead.Held)
	defer end()
	t := newTerm(s, leadership)
	leave := func(bool) {}
	if len(s.jobs) > 0 {
		leave = s.group.Attend(ctx, lead.Number, s.logger.Named("group"))
	}
	defer func() { leave(err == nil && ctx.Err() == nil) }()
	err = t.claim(ctx)
	if pg.IsNotAllowed(err) && len(s.jobs) == 0 {
		return nil // nor does the role need to, until there are jobs
	}
	if err == nil {
		var declaring sync.WaitGroup
		defer declaring.Wait()
		declaring.Go(func() { s.declare(leadership.Starting, lead.Number) })
	}
	if err == nil && len(s.jobs) > 0 {
		err = t.lead(ctx)
	}
	if errors.Is(err, pg.ErrStopping) || ctx.Err() != nil && !errors.Is(err, jobs.ErrFenced) || err == nil {
		return nil
	}
	return fmt.Errorf("cron: %w", err)
}

// WarmUp prepares a standby's session of Pool for the first statements of a leader, and runs none of them.
func (s *Scheduler) WarmUp(ctx context.Context, conn *pgx.Conn) error {
	return s.store.DB.WarmUp(ctx, conn, rows.First)
}

// Healthy returns an error when the loop of the jobs has not moved for 20 s while Run runs. A job's function may take
// any time.
func (s *Scheduler) Healthy() error { return s.pulse.Check("the loop of the cron jobs") }

// Stats returns the counters of each job. It may be called at any time.
func (s *Scheduler) Stats() (all []Stats) {
	for _, job := range s.jobs {
		all = append(all, job.stats())
	}
	return all
}

// persist is for all but outcomes: what fails at a handover is the next leader's.
func persist(ctx context.Context, t *term, what string, do func(context.Context) error) error {
	if len(t.jobs) == 0 { // then the role need not be allowed anything
		return t.store.DB.PersistAllowed(ctx, t.logger, what, t.pulse.During(do))
	}
	return t.store.DB.Persist(ctx, t.logger, what, t.pulse.During(do))
}
