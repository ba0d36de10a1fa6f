package replica

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config"
	"github.com/pgsolo/pgsolo/election"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/cron"
	"github.com/pgsolo/pgsolo/jobs/eventlog"
)

// candidate is this replica in one election: the elector, and what it leads with.
type candidate struct {
	config   *config.Election
	schema   string
	elector  *election.Elector
	runner   *eventlog.Runner // nil where there is nothing to run
	crons    *cron.Scheduler  // likewise
	sessions *sessions
	logger   hclog.Logger

	lowestTerm atomic.Int64 // that will do for the engines, as last read
}

// newCandidate connects to nothing yet.
func newCandidate(
	of *config.Election, options Options, group *election.Group, shared *sessions, address string,
) (*candidate, error) {
	logger := options.Logger
	if len(options.Config.Elections) > 1 {
		logger = logger.With("election", of.Name)
	}
	schema := options.Config.Postgres.Schema
	c := &candidate{config: of, schema: schema, logger: logger, sessions: shared}
	base, err := options.Config.Postgres.PoolConfig()
	if err != nil {
		return nil, err
	}
	c.elector, err = election.New(election.Options{
		Config: base.ConnConfig, Schema: schema, Name: of.Name, Address: address,
		Lease: of.Lease, PollInterval: of.PollInterval, Drain: of.Drain, Fingerprint: of.Fingerprint,
		Version: options.Build.Version, Unhealthy: options.Unhealthy, Healthy: c.healthy, Group: group,
		Logger: logger.Named("election"), Check: c.check, LowestTerm: c.lowestTerm.Load,
	})
	return c, err
}

// check is asked of each session of the election.
func (c *candidate) check(ctx context.Context, conn *pgx.Conn) error {
	if err := jobs.CheckSchema(ctx, conn, c.schema); err != nil {
		return err
	}
	if err := jobs.CheckLog(ctx, conn, c.schema); err != nil {
		return err
	}
	if err := c.readLowestTerm(ctx, conn); err != nil && conn.IsClosed() {
		return err
	} else if err != nil { // a role that may not read them leads as before
		c.logger.Warn("the terms that the engines have seen are not known", "error", err)
	}
	return nil
}

// newEngines makes none for an election for which there is nothing to run: this replica leads it all the same.
func (c *candidate) newEngines(work config.Work, from *config.Config) (err error) {
	if len(work.Handlers)+len(work.Crons) == 0 {
		return nil
	}
	subscribe := Subscribe(c.sessions.listener)
	if !from.Postgres.Notify { // then there are no handlers of channels
		subscribe = nil
	}
	c.runner, err = eventlog.New(eventlog.Options{
		Pool: c.sessions.pool, Transactions: c.sessions.transactions, Schema: from.Postgres.Schema,
		Group: c.config.Name, Handlers: work.Handlers, Topics: from.Topics,
		ForgetAfter: from.Postgres.Grace(), Subscribe: subscribe, Logger: c.logger.Named("jobs"),
	})
	if err != nil {
		return err
	}
	c.crons, err = cron.New(cron.Options{
		Pool: c.sessions.pool, Shared: len(from.Elections) > 1, Schema: from.Postgres.Schema,
		Group: c.config.Name, Jobs: work.Crons, Subscribe: subscribe,
		ForgetAfter: from.Postgres.Grace(), Logger: c.logger.Named("jobs").Named("cron"),
	})
	return err
}

func (c *candidate) healthy() error {
	if c.runner == nil {
		return nil
	}
	return jobs.Healthy(c.runner, c.crons)
}

// lead is what the leader does.
func (c *candidate) lead(ctx context.Context, term election.Term) error {
	ctx, done := c.sessions.serve(ctx, term)
	defer done()
	if c.runner == nil {
		select {
		case <-term.Stopping:
		case <-ctx.Done():
		}
		return nil
	}
	var crons jobs.Engine = c.crons
	if len(c.config.Crons) == 0 {
		crons = late{c.crons}
	}
	err := jobs.Run(ctx, jobs.Lead(term), c.runner, crons)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnhealthy, err)
	}
	return nil
}

// late is an engine that has nothing to do but to declare that: it leaves the session that a standby has kept, and has
// prepared, to the other one.
type late struct{ jobs.Engine }

// headStart is how long a new leader's first event takes at most, mostly.
const headStart = 50 * time.Millisecond

func (e late) Run(ctx context.Context, lead jobs.Lead) error {
	select {
	case <-lead.Stopping:
	case <-ctx.Done():
	case <-time.After(headStart):
	}
	return e.Engine.Run(ctx, lead)
}

// elect takes part in the election. While it stands by it keeps what it needs to lead up to date: its session for the
// lock may last for months.
func (c *candidate) elect(ctx context.Context) error {
	preparing, stop := context.WithCancel(standing(ctx))
	var standby sync.WaitGroup
	standby.Go(func() { c.prepare(preparing) })
	defer standby.Wait()
	defer stop()
	return c.elector.Run(ctx, c.lead)
}

// A standby prepares itself when it has begun to stand by, within prepareSoon of a new leader, and else each
// prepareEvery, for what a person or a restore has written: with many cron jobs, the read of the terms is of many rows.
const (
	prepareFirst = 200 * time.Millisecond
	prepareSoon  = 10 * time.Second
	prepareEvery = 5 * time.Minute
)

// prepare reads which terms will do, and warms up the session that the pool keeps. Errors are not regarded: those of
// the database are the elector's. It tries again soon. A new leader may not have written its term yet, which counts all
// the same: its row may be lost before the next read.
func (c *candidate) prepare(ctx context.Context) {
	timer := time.NewTimer(prepareFirst)
	defer timer.Stop()
	var (
		of   election.Term // the leader's when it was last prepared
		last time.Time
	)
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			timer.Reset(prepareSoon)
		}
		status := c.elector.Status()
		if status.Role == election.Outside {
			timer.Reset(prepareFirst)
		}
		isNew := status.Term.Number != of.Number || status.Term.Timeline != of.Timeline
		if status.Role != election.Standby || !isNew && time.Since(last) < prepareEvery {
			continue
		}
		bounded, cancel := context.WithTimeout(ctx, prepareSoon)
		err := c.sessions.pool.AcquireFunc(bounded, func(conn *pgxpool.Conn) error {
			return errors.Join(c.readLowestTerm(bounded, conn.Conn()), c.warmUp(bounded, conn.Conn()))
		})
		cancel()
		if err == nil {
			of, last = status.Term, time.Now()
			c.lowestTerm.Store(max(c.lowestTerm.Load(), of.Number+1))
		}
	}
}

func (c *candidate) warmUp(ctx context.Context, conn *pgx.Conn) error {
	if c.runner == nil {
		return nil
	}
	return errors.Join(c.runner.WarmUp(ctx, conn), c.crons.WarmUp(ctx, conn))
}

func (c *candidate) readLowestTerm(ctx context.Context, conn *pgx.Conn) error {
	lowest, err := jobs.LowestTerm(ctx, conn, c.schema)
	if err == nil {
		c.lowestTerm.Store(lowest)
	}
	return err
}

func (c *candidate) stats() (stats eventlog.Stats) {
	if c.runner != nil {
		stats = c.runner.Stats()
	}
	return stats
}

func (c *candidate) cronStats() []cron.Stats {
	if c.crons == nil {
		return nil
	}
	return c.crons.Stats()
}

// ErrUnhealthy means that this replica led and could not go on, although it had not lost the leadership.
var ErrUnhealthy = errors.New("the leader cannot go on")
