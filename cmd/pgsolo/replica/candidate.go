package replica

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config"
	"github.com/pgsolo/pgsolo/election"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/listener"
)

// candidate is this replica in one election: the elector, and what it needs to lead. Its sessions are opened while it stands
// by, so that it can take over when the server accepts no more.
type candidate struct {
	config   *config.Election
	elector  *election.Elector
	runner   *jobs.Runner
	listener *listener.Listener
	pool     *pgxpool.Pool // of the runner

	standby string // the application_name of its sessions while it does not lead

	mu   sync.Mutex // guards name
	name string     // the application_name that they have, or are to get
}

// newCandidate connects to nothing yet, but for the pool, which begins to.
func newCandidate(of *config.Election, options Options, group *election.Group, address string) (*candidate, error) {
	logger := options.Logger
	if len(options.Config.Elections) > 1 {
		logger = logger.With("election", of.Name)
	}
	c := &candidate{config: of, standby: "pgsolo " + of.Name + " standby"}
	c.name = c.standby
	base, err := pgxpool.ParseConfig(options.Config.Postgres.URL)
	if err != nil {
		return nil, fmt.Errorf("postgres url: %w", err) // pgx keeps the password out of it
	}
	schema := options.Config.Postgres.Schema
	c.elector, err = election.New(election.Options{
		Config: base.ConnConfig, Schema: schema, Name: of.Name, Address: address,
		Lease: of.Lease, PollInterval: of.PollInterval, Drain: of.Drain,
		Unhealthy: options.Unhealthy, Healthy: c.healthy, Group: group, Logger: logger.Named("election"),
		Check: func(ctx context.Context, conn *pgx.Conn) error { return jobs.CheckSchema(ctx, conn, schema) },
	})
	if err != nil {
		return nil, err
	}
	c.listener, err = listener.New(listener.Options{
		Config: base.ConnConfig, SessionName: c.sessionName, Buffer: messageBuffer, Logger: logger.Named("listener"),
	})
	if err != nil {
		return nil, err
	}
	if c.pool, err = c.newPool(base); err != nil {
		return nil, err
	}
	if of.NeedsSessions {
		if of.Sessions, err = c.newStatementPool(base.Copy()); err != nil {
			c.close()
			return nil, err
		}
	}
	c.runner, err = newRunner(c, options.Config, logger)
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// newRunner returns nil for an election for which there is nothing to run: this replica leads it all the same.
func newRunner(c *candidate, from *config.Config, logger hclog.Logger) (*jobs.Runner, error) {
	if len(c.config.Handlers)+len(c.config.Crons) == 0 {
		return nil, nil
	}
	options := jobs.Options{
		Pool: c.pool, Schema: from.Postgres.Schema, Group: c.config.Name, Handlers: c.config.Handlers, Crons: c.config.Crons,
		Topics: from.Topics, Subscribe: c.subscribe, Logger: logger.Named("jobs"),
	}
	if !from.Postgres.Notify { // then there are no handlers of channels
		options.Subscribe = nil
	}
	return jobs.New(options)
}

// messageBuffer is how many messages of a channel may wait for its handler.
const messageBuffer = 1024

// prepareWork overrides what a role or a database may set, and makes the server look after the client ten times a second while a
// statement runs: one whose leader was killed does not run on. Not as parameters of the start, which a pooler refuses.
const prepareWork = `set client_encoding = 'UTF8'; set client_connection_check_interval = 100; set statement_timeout = 0; set lock_timeout = 0;
	set idle_session_timeout = 0; set default_transaction_read_only = off; set default_transaction_isolation = 'read committed'`

// newPool keeps one session open from the beginning. Sessions are not renewed by age: there might be none to be had.
func (c *candidate) newPool(config *pgxpool.Config) (*pgxpool.Pool, error) {
	config.MinConns = 1
	config.MaxConns = poolSize(c.config)
	config.HealthCheckPeriod = 5 * time.Second
	config.MaxConnLifetime = 10 * 365 * 24 * time.Hour
	config.ConnConfig.ConnectTimeout = 5 * time.Second
	c.prepareSessions(config)
	return pgxpool.NewWithConfig(context.Background(), config)
}

func (c *candidate) prepareSessions(config *pgxpool.Config) {
	config.AfterConnect = c.prepareSession
	config.PrepareConn = func(ctx context.Context, conn *pgx.Conn) (bool, error) {
		return c.nameSession(ctx, conn) == nil, nil // another session, if this one is broken
	}
}

func (c *candidate) prepareSession(ctx context.Context, conn *pgx.Conn) error {
	name := c.sessionName() // of letters and digits, as election and configuration allow them: nothing to quote
	if _, err := conn.Exec(ctx, prepareWork+"; set application_name = '"+name+"'"); err != nil {
		return fmt.Errorf("prepare session: %w", err)
	}
	conn.PgConn().CustomData()[nameKey] = name
	return nil
}

// poolSize is how many sessions have work at a time: a handler's reads and writes, the cron jobs' writes and the pruning of their
// history, and what the runner does by itself, which take turns where that is much. Each worker of a handler of transactions has
// one more, for as long as an event takes: those must leave the others theirs.
func poolSize(of *config.Election) int32 {
	sessions, workers := 2*len(of.Handlers)+2, 0
	if len(of.Crons) > 0 {
		sessions += 2
	}
	for _, h := range of.Handlers {
		if h.HandleTx != nil {
			workers += h.Concurrency
		}
	}
	return int32(min(max(4, sessions), 16) + workers)
}

// nameKey is where a session of the pool keeps its name.
const nameKey = "application_name"

// nameSession gives a session of the pool its present name, if it has another one.
func (c *candidate) nameSession(ctx context.Context, conn *pgx.Conn) error {
	name, known := c.sessionName(), conn.PgConn().CustomData()
	if known[nameKey] == name {
		return nil
	}
	if _, err := conn.Exec(ctx, `select set_config('application_name', $1, false)`, name); err != nil {
		return fmt.Errorf("name session: %w", err)
	}
	known[nameKey] = name
	return nil
}

func (c *candidate) close() {
	c.pool.Close()
	if c.config.Sessions != nil {
		c.config.Sessions.Close()
	}
}

func (c *candidate) rename(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.name = name
}

func (c *candidate) sessionName() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.name
}

func (c *candidate) healthy() error {
	if c.runner == nil {
		return nil
	}
	return c.runner.Healthy()
}

// lead is what the leader does. Afterwards no session bears the term any more: a later leader's successor would take it for one
// that was left behind.
func (c *candidate) lead(ctx context.Context, term election.Term) error {
	c.rename(term.Session)
	defer func() {
		c.rename(c.standby)
		c.pool.Reset()
		if c.config.Sessions != nil {
			c.config.Sessions.Reset()
		}
		c.listener.Rename()
	}()
	if c.runner == nil {
		select {
		case <-term.Stopping:
		case <-ctx.Done():
		}
		return nil
	}
	err := c.runner.Run(ctx, jobs.Lead{
		Term: term.Number, Holder: c.elector.Status().Holder, Stopping: term.Stopping, Held: term.Held,
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnhealthy, err)
	}
	return nil
}

// listen runs the LISTEN session.
func (c *candidate) listen(ctx context.Context) error {
	if err := c.listener.Run(ctx); err != nil {
		return fmt.Errorf("%w: %w", ErrUnhealthy, err)
	}
	return nil
}

// subscribe lends the runner a subscription.
func (c *candidate) subscribe(channel string) (jobs.Subscription, error) {
	s, err := c.listener.Subscribe(channel)
	if err != nil {
		return jobs.Subscription{}, err
	}
	return jobs.Subscription{Messages: s.Messages(), Missed: s.Missed(), Close: s.Close}, nil
}

func (c *candidate) stats() (stats jobs.Stats) {
	if c.runner != nil {
		stats = c.runner.Stats()
	}
	return stats
}

// ErrUnhealthy means that this replica led and could not go on, although it had not lost the leadership.
var ErrUnhealthy = errors.New("the leader cannot go on")
