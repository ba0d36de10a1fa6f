package app

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/oklog/run"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/web"
	"github.com/pgsolo/pgsolo/election"
)

// Options are what the configuration does not say. Config is required.
type Options struct {
	Config    *config.Config
	Unhealthy func(error) // must end the process; see election.Options
	Build     web.Build
	Logger    hclog.Logger // default: none
}

// App is one replica.
type App struct {
	config     *config.Config
	logger     hclog.Logger
	socket     net.Listener
	server     *web.Server
	candidates []*candidate
	unhealthy  func(error)
}

// New checks everything that can be checked without the database, and opens the HTTP socket. Run closes it.
func New(options Options) (*App, error) {
	if options.Logger == nil {
		options.Logger = hclog.NewNullLogger()
	}
	options.Config.ActionLogger = options.Logger.Named("action")
	a := &App{config: options.Config, logger: options.Logger, unhealthy: options.Unhealthy}
	var err error
	if a.socket, err = net.Listen("tcp", a.config.HTTP.Listen); err != nil {
		return nil, fmt.Errorf("open the HTTP address of http.listen: %w", err)
	}
	group := &election.Group{}
	var served []web.Election
	for _, of := range a.config.Elections {
		c, err := newCandidate(of, options, group, a.advertised())
		if err != nil {
			a.close()
			return nil, err
		}
		a.candidates = append(a.candidates, c)
		served = append(served, web.Election{
			Status: c.elector.Status, Stats: c.elector.Stats, Jobs: c.stats, Listener: c.listener.Stats,
			Fresh: of.Lease + of.PollInterval,
		})
	}
	a.server = web.New(web.Options{Elections: served, Build: options.Build, Logger: options.Logger.Named("http")})
	return a, nil
}

func (a *App) close() {
	a.socket.Close()
	for _, c := range a.candidates {
		c.close()
	}
	a.config.CloseIdleConnections()
}

// Addr is where HTTP is served.
func (a *App) Addr() net.Addr { return a.socket.Addr() }

// advertised is where other replicas reach this one.
func (a *App) advertised() string {
	if a.config.HTTP.Advertise != "" {
		return a.config.HTTP.Advertise
	}
	host, port, _ := net.SplitHostPort(a.socket.Addr().String()) // a TCP address has both
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		if name, err := os.Hostname(); err == nil {
			host = name
		}
	}
	return "http://" + net.JoinHostPort(host, port)
}

// Run takes part in the elections and serves HTTP until ctx is done, or something fails: then it returns election.ErrLost,
// ErrUnhealthy, or why this replica cannot take part. It runs once.
func (a *App) Run(ctx context.Context) error {
	defer a.close()
	var group run.Group
	var forced *time.Timer
	defer func() { forced.Stop() }() // somebody has been interrupted by then
	electing, stopElecting := context.WithCancel(ctx)
	defer stopElecting()
	// The first to be interrupted, whatever has ended, one of several leaderships for example: the rest may drain, and must then
	// have ended too.
	interrupted := make(chan struct{})
	group.Add(func() error { <-interrupted; return nil }, func(error) {
		limit := a.longestDrain() + stopTime
		forced = time.AfterFunc(limit, func() {
			a.unhealthy(fmt.Errorf("%w: something has not stopped within %s", ErrUnhealthy, limit))
		})
		stopElecting()
		close(interrupted)
	})
	var elected []chan struct{}
	for _, c := range a.candidates {
		done := make(chan struct{})
		elected = append(elected, done)
		group.Add(func() error {
			defer close(done)
			return c.elector.Run(electing, c.lead)
		}, func(error) {})
	}
	// The others serve the leaderships: they end when those have.
	for _, c := range a.candidates {
		listening, stopListening := context.WithCancel(context.WithoutCancel(ctx))
		group.Add(func() error { return c.listen(listening) }, func(error) {
			wait(elected)
			stopListening()
		})
	}
	group.Add(func() error { return a.server.Serve(a.socket) }, func(error) {
		wait(elected)
		a.server.Shutdown()
	})
	a.logger.Info("serving HTTP", "address", a.Addr().String())
	return group.Run()
}

// stopTime is how long after the drain everything may take to end. It is longer than what whoever sends a signal is told to wait.
const stopTime = 15 * time.Second

func (a *App) longestDrain() (drain time.Duration) {
	for _, of := range a.config.Elections {
		drain = max(drain, of.Drain)
	}
	return drain
}

func wait(all []chan struct{}) {
	for _, c := range all {
		<-c
	}
}
