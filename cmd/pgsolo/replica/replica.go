package replica

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/oklog/run"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/web"
	"github.com/pgsolo/pgsolo/election"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/webhook"
)

// Options are what the configuration does not say. Config is required.
type Options struct {
	Config    *config.Config
	Unhealthy func(error) // must end the process; see election.Options
	Build     web.Build
	Logger    hclog.Logger // default: none
}

// Replica is one replica.
type Replica struct {
	config     *config.Config
	logger     hclog.Logger
	socket     net.Listener
	server     *web.Server
	sessions   *sessions
	candidates []*candidate
	client     *http.Client // of webhooks
	unhealthy  func(error)
}

// New checks everything that can be checked without the database, and opens the HTTP socket. Run closes it. Where
// postgres.max_sessions is left out, it asks the database how many it accepts, for two seconds at most.
func New(options Options) (*Replica, error) {
	if options.Logger == nil {
		options.Logger = hclog.NewNullLogger()
	}
	r := &Replica{
		config: options.Config, logger: options.Logger, client: webhook.NewClient(), unhealthy: options.Unhealthy,
	}
	var err error
	if r.socket, err = net.Listen("tcp", r.config.HTTP.Listen); err != nil {
		return nil, fmt.Errorf("open the HTTP address of http.listen: %w", err)
	}
	if r.sessions, err = newSessions(r.config, options); err != nil {
		r.close()
		return nil, err
	}
	group := &election.Group{}
	var served []web.Election
	for _, of := range r.config.Elections {
		c, err := newCandidate(of, options, group, r.sessions, r.advertised())
		if err != nil {
			r.close()
			return nil, err
		}
		r.candidates = append(r.candidates, c)
		served = append(served, web.Election{
			Status: c.elector.Status, Stats: c.elector.Stats, Events: c.stats, Crons: c.cronStats,
			Fingerprint: of.Fingerprint, Fresh: of.Lease + of.PollInterval,
		})
	}
	if err := r.newEngines(); err != nil {
		r.close()
		return nil, err
	}
	r.server = web.New(web.Options{
		Elections: served, Listener: r.sessions.listener.Stats, Build: options.Build,
		Hosts: r.config.HTTP.Hosts, Logger: options.Logger.Named("http"),
	})
	return r, nil
}

// newEngines gives the candidates their work.
func (r *Replica) newEngines() error {
	sessions := map[string]*pgxpool.Pool{}
	for _, c := range r.candidates {
		sessions[c.config.Name] = r.sessions.statements
	}
	work := r.config.Bind(config.Resources{
		Logger: r.logger.Named("action"), HTTPClient: r.client, Sessions: sessions,
	})
	for _, c := range r.candidates {
		if err := c.newEngines(work[c.config.Name], r.config); err != nil {
			return err
		}
	}
	return nil
}

func (r *Replica) close() {
	r.socket.Close()
	if r.sessions != nil {
		r.sessions.close()
	}
	r.client.CloseIdleConnections()
}

// Addr is where HTTP is served.
func (r *Replica) Addr() net.Addr { return r.socket.Addr() }

// advertised is where other replicas reach this one.
func (r *Replica) advertised() string {
	if r.config.HTTP.Advertise != "" {
		return r.config.HTTP.Advertise
	}
	host, port, _ := net.SplitHostPort(r.socket.Addr().String()) // a TCP address has both
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		if name, err := os.Hostname(); err == nil {
			host = name
		}
	}
	return "http://" + net.JoinHostPort(host, port)
}

// Run takes part in the elections and serves HTTP until ctx is done, or something fails: then it returns
// election.ErrLost, ErrUnhealthy, or why this replica cannot take part. It runs once.
func (r *Replica) Run(ctx context.Context) error {
	var group run.Group
	var forced *time.Timer
	defer func() { forced.Stop() }() // the first actor has been interrupted by then
	defer r.close()                  // which is watched as the rest is
	electing, stopElecting := context.WithCancel(jobs.Process(ctx))
	defer stopElecting()
	// The first to be interrupted, whatever has ended, one of several leaderships for example: the rest may drain, and
	// must then have ended too.
	interrupted := make(chan struct{})
	group.Add(func() error { <-interrupted; return nil }, func(error) {
		limit := r.longestDrain() + stopTime
		forced = time.AfterFunc(limit, func() {
			r.unhealthy(fmt.Errorf("%w: something has not stopped within %s", ErrUnhealthy, limit))
		})
		stopElecting()
		close(interrupted)
	})
	var elected []chan struct{}
	for _, c := range r.candidates {
		done := make(chan struct{})
		elected = append(elected, done)
		group.Add(func() error {
			defer close(done)
			return c.elect(electing)
		}, func(error) {})
	}
	// The others serve the leaderships: they end when those have.
	listening, stopListening := context.WithCancel(context.WithoutCancel(ctx))
	group.Add(func() error { return r.listen(listening) }, func(error) {
		wait(elected)
		stopListening()
	})
	for _, c := range r.candidates {
		comparing, stopComparing := context.WithCancel(ctx)
		group.Add(func() error {
			c.compare(comparing)
			<-interrupted
			return nil
		}, func(error) { stopComparing() })
	}
	group.Add(func() error { return r.server.Serve(r.socket) }, func(error) {
		wait(elected)
		r.server.Shutdown()
	})
	r.logger.Info("serving HTTP", "address", r.Addr().String())
	return group.Run()
}

// listen runs the LISTEN session.
func (r *Replica) listen(ctx context.Context) error {
	if err := r.sessions.listener.Run(ctx); err != nil {
		return fmt.Errorf("%w: %w", ErrUnhealthy, err)
	}
	return nil
}

// stopTime is how long after the drain everything may take to end: longer than the time after which a signal is
// followed by the end of the process.
const stopTime = 15 * time.Second

func (r *Replica) longestDrain() (drain time.Duration) {
	for _, of := range r.config.Elections {
		drain = max(drain, of.Drain)
	}
	return drain
}

func wait(all []chan struct{}) {
	for _, c := range all {
		<-c
	}
}
