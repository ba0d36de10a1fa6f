package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/oklog/run"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/web"
	"github.com/pgsolo/pgsolo/election"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/listener"
)

// ErrUnhealthy means that this replica led and could not go on, although it had not lost the leadership.
var ErrUnhealthy = errors.New("the leader cannot go on")

// Options are what the configuration does not say. Config is required.
type Options struct {
	Config    *config.Config
	Unhealthy func(error) // must end the process; see election.Options
	Build     web.Build
	Logger    hclog.Logger // default: none
}

// App is one replica.
type App struct {
	config  *config.Config
	logger  hclog.Logger
	socket  net.Listener
	server  *web.Server
	pool    *pgxpool.Pool
	elector *election.Elector
	runner  *jobs.Runner

	mu       sync.Mutex         // guards what follows
	name     string             // application_name of new sessions
	listener *listener.Listener // of the present term, or the last
}

// New checks everything that can be checked without the database, and opens the HTTP socket. Run closes it.
func New(options Options) (*App, error) {
	if options.Logger == nil {
		options.Logger = hclog.NewNullLogger()
	}
	a := &App{config: options.Config, logger: options.Logger}
	a.config.ActionLogger = a.logger.Named("action")
	pool, err := a.newPool()
	if err != nil {
		return nil, err
	}
	a.pool = pool
	if err := a.wire(options); err != nil {
		pool.Close()
		return nil, err
	}
	return a, nil
}

func (a *App) wire(options Options) (err error) {
	if a.socket, err = net.Listen("tcp", a.config.HTTP.Listen); err != nil {
		return fmt.Errorf("open HTTP address: %w", err)
	}
	defer func() {
		if err != nil {
			a.socket.Close()
		}
	}()
	a.runner, err = jobs.New(jobs.Options{
		Pool: a.pool, Schema: a.config.Postgres.Schema, Handlers: a.config.Handlers, Crons: a.config.Crons,
		Subscribe: a.subscribe, Logger: a.logger.Named("jobs"),
	})
	if err != nil {
		return err
	}
	a.elector, err = election.New(election.Options{
		Config: a.pool.Config().ConnConfig, Schema: a.config.Postgres.Schema, Name: a.config.Election.Name,
		Address: a.advertised(), Lease: a.config.Election.Lease, PollInterval: a.config.Election.PollInterval,
		Drain: a.config.Election.Drain, Unhealthy: options.Unhealthy, Logger: a.logger.Named("election"),
		Check: func(ctx context.Context, conn *pgx.Conn) error {
			return jobs.CheckSchema(ctx, conn, a.config.Postgres.Schema)
		},
	})
	if err != nil {
		return err
	}
	a.server = web.New(web.Options{
		Status: a.elector.Status, Jobs: a.runner.Stats, Listener: a.listenerStats, Build: options.Build,
		Fresh: a.config.Election.Lease, Logger: a.logger.Named("http"),
	})
	return nil
}

// newPool makes the pool for the leader's work. It connects only when it is used.
func (a *App) newPool() (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(a.config.Postgres.URL)
	if err != nil {
		return nil, fmt.Errorf("postgres url: %w", err) // pgx keeps the password out of it
	}
	config.MaxConns = int32(min(max(4, len(a.config.Handlers)+len(a.config.Crons)+1), 16))
	config.ConnConfig.ConnectTimeout = 5 * time.Second
	// A statement whose leader was killed does not run on: its server process looks after the client every half second.
	config.ConnConfig.RuntimeParams["client_connection_check_interval"] = "500"
	config.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error {
		c.RuntimeParams["application_name"] = a.sessionName()
		return nil
	}
	return pgxpool.NewWithConfig(context.Background(), config)
}

// Addr is where HTTP is served.
func (a *App) Addr() net.Addr { return a.socket.Addr() }

// advertised is where other replicas reach this one.
func (a *App) advertised() string {
	if a.config.HTTP.Advertise != "" {
		return a.config.HTTP.Advertise
	}
	host, err := os.Hostname()
	if err != nil {
		host = "127.0.0.1"
	}
	_, port, _ := net.SplitHostPort(a.socket.Addr().String()) // a TCP address has both
	return "http://" + net.JoinHostPort(host, port)
}

// Run takes part in the election and serves HTTP until ctx is done, or something fails: then it returns election.ErrLost,
// ErrUnhealthy, or why this replica cannot take part. It runs once.
func (a *App) Run(ctx context.Context) error {
	defer a.config.CloseIdleConnections()
	defer a.pool.Close()
	var group run.Group
	electing, stopElecting := context.WithCancel(ctx)
	elected := make(chan struct{})
	group.Add(func() error {
		defer close(elected)
		return a.elector.Run(electing, a.lead)
	}, func(error) { stopElecting() })
	group.Add(func() error {
		return a.server.Serve(a.socket)
	}, func(error) {
		<-elected // the interrupt above has been called; the drain and the watchdog bound this
		a.server.Shutdown()
	})
	a.logger.Info("serving HTTP", "address", a.Addr().String())
	return group.Run()
}

// lead is what the leader does. The LISTEN session ends after the runner, which is served by it.
func (a *App) lead(ctx context.Context, term election.Term) error {
	listen, err := a.begin(term)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	listening, stopListening := context.WithCancel(context.WithoutCancel(ctx))
	listened := make(chan error, 1)
	go func() {
		err := listen.Run(listening)
		if err != nil {
			cancel(err)
		}
		listened <- err
	}()
	err = a.runner.Run(ctx, term.Number, term.Stopping)
	stopListening()
	if err = errors.Join(err, <-listened); err != nil {
		return fmt.Errorf("%w: %w", ErrUnhealthy, err)
	}
	return nil
}

// begin names the sessions of this term and makes its listener.
func (a *App) begin(term election.Term) (*listener.Listener, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.name = term.Session
	config := a.pool.Config().ConnConfig
	config.RuntimeParams["application_name"] = a.name
	listen, err := listener.New(listener.Options{Config: config, Logger: a.logger.Named("listener")})
	a.listener = listen
	return listen, err
}

func (a *App) sessionName() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.name
}

// subscribe lends the runner a subscription of the present term's listener.
func (a *App) subscribe(channel string) (jobs.Subscription, error) {
	a.mu.Lock()
	listen := a.listener
	a.mu.Unlock()
	s, err := listen.Subscribe(channel)
	if err != nil {
		return jobs.Subscription{}, err
	}
	return jobs.Subscription{Messages: s.Messages(), Missed: s.Missed(), Close: s.Close}, nil
}

func (a *App) listenerStats() listener.Stats {
	a.mu.Lock()
	listen := a.listener
	a.mu.Unlock()
	if listen == nil {
		return listener.Stats{}
	}
	return listen.Stats()
}
