package cron

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/loop"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
	"github.com/pgsolo/pgsolo/jobs/internal/text"
)

// Options say what a Scheduler runs. Pool is required; NewScheduler names the field that is wrong. jobs.Migrate has to have made the
// tables.
type Options struct {
	// Pool serves the statements. All jobs together use two connections at a time, of which they keep one. Where there are fewer, they take
	// turns. Where the successor of a leader waits for the end of its sessions, as that of package election does, they have to bear the
	// name that it looks for.
	Pool *pgxpool.Pool

	Schema string // where jobs.Migrate made the tables; default "pgsolo"
	Group  string // tells schedulers in one schema apart that run different jobs; default "main"
	Jobs   []Job

	// Subscribe connects a channel of NOTIFY with the scheduler, which tells that a job was paused, resumed or triggered. Without it the
	// database is asked twice a second instead of every ten seconds.
	Subscribe func(channel string) (jobs.Subscription, error)

	Logger hclog.Logger // default: none
}

// Scheduler runs cron jobs for one leader at a time. It is an Engine. It follows their schedules on this process's clock. What keeps a
// tick from starting twice is its row in the database, whatever the clocks say.
type Scheduler struct {
	jobs      []*job
	store     store
	subscribe func(channel string) (jobs.Subscription, error) // nil: the database is asked more often instead
	logger    hclog.Logger

	// The clock; tests replace it. Without its monotonic reading, so that differences follow the clock when it is set.
	now   func() time.Time
	after func(time.Duration) <-chan time.Time

	pulse loop.Pulse
}

// New checks the options. Its errors name the job and the field.
func New(options Options) (*Scheduler, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Scheduler{
		store:     store{pool: options.Pool, schema: options.Schema, group: options.Group},
		subscribe: options.Subscribe, logger: options.Logger,
		now: func() time.Time { return time.Now().Round(0) }, after: time.After,
	}
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
	return s, nil
}

// withDefaults checks the options but for their jobs, and fills in what was left out.
func (o Options) withDefaults() (Options, error) {
	o.Schema = cmp.Or(o.Schema, jobs.DefaultSchema)
	o.Group = cmp.Or(o.Group, "main")
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	switch {
	case o.Pool == nil:
		return o, errors.New("jobs: Pool is required")
	case !pg.SchemaName.MatchString(o.Schema):
		return o, fmt.Errorf("jobs: Schema %q: want lower-case letters, digits and underscores, at most 40", o.Schema)
	case text.Check(o.Group) != nil:
		return o, fmt.Errorf("jobs: Group has %w", text.Check(o.Group))
	}
	return o, nil
}

// Run runs the jobs for the leader of this term. It ends
//
//   - when Stopping is closed: no run is begun any more, those under way may finish, and their outcomes are written;
//   - when ctx is done, before or after that: the runs under way are cancelled, and waited for;
//   - with ErrFenced when a newer leader has claimed the jobs, or with an error when the database has failed for 30 s.
//
// It returns nil in the first two cases. Nothing that it started runs any more then.
func (s *Scheduler) Run(ctx context.Context, lead jobs.Lead) error {
	defer s.pulse.End()
	s.pulse.Beat()
	t := newTerm(s, lead)
	err := t.claim(ctx)
	if pg.IsNotAllowed(err) && len(s.jobs) == 0 {
		return nil // nor does the role need to, until there are jobs
	}
	if err == nil && len(s.jobs) > 0 {
		err = t.lead(ctx)
	}
	if err == nil || ctx.Err() != nil && !errors.Is(err, jobs.ErrFenced) {
		return nil
	}
	return fmt.Errorf("cron: %w", err)
}

// Healthy returns an error when the loop of the jobs has not moved lately, while Run runs.
func (s *Scheduler) Healthy() error { return s.pulse.Check("the loop of the cron jobs") }

// Stats may be called at any time.
func (s *Scheduler) Stats() (all []Stats) {
	for _, job := range s.jobs {
		all = append(all, job.stats())
	}
	return all
}

func (s *Scheduler) persist(ctx context.Context, what string, do func(context.Context) error) error {
	return pg.Persist(ctx, s.logger, what, s.pulse.During(do))
}
