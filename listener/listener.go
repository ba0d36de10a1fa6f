package listener

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Reconnects wait firstDelay, then twice as long each time up to maxDelay. The first is short because most lost sessions
// can be replaced at once; the last is what a recovered server waits for its listeners at most.
const (
	firstDelay = 50 * time.Millisecond
	maxDelay   = 2 * time.Second
)

const (
	// queueWarning is the usage of the notification queue that is worth a warning. PostgreSQL itself warns whoever sends, from one half on.
	queueWarning = 0.1

	// unhealthyWait is how long Run waits for Options.Unhealthy to return.
	unhealthyWait = time.Second
)

// ErrEnded is what Subscribe and Run return after Run has ended.
var ErrEnded = errors.New("the listener has ended")

// Options say where a Listener connects and when it gives up. Config is required; New names the field that is wrong.
type Options struct {
	// Config leads to PostgreSQL directly, not through a pooler in transaction mode. It comes from pgx.ParseConfig. New
	// copies it; the copy gets a connect timeout and a client encoding of its own. The caller sets application_name.
	Config *pgx.ConnConfig

	// SessionName, if set, is asked for the application_name of the session whenever channels change, and after Rename. Default:
	// that of Config.
	SessionName func() string

	// Patience is how long Run keeps connecting without success before it gives up; default 30 s. While nobody subscribes it does
	// not give up, whatever the reason: such a session is there so that it need not be made when it is wanted. It starts anew with each
	// session that is lost.
	Patience time.Duration

	// Unhealthy is called at most once, in a goroutine of its own, with the error that Run is about to return: when Patience is
	// exhausted, or at once when the server refuses the user, the password or the database, or a pooler shares its sessions. Run
	// returns when it has, or after a second. Default: none.
	Unhealthy func(error)

	// ProbeInterval is how often the session has to prove that it delivers, and how long each proof may take: one that is deaf
	// is replaced within twice as long. Default 5 s.
	ProbeInterval time.Duration

	Buffer int          // messages kept for each subscription until they are read; default 64
	Logger hclog.Logger // default: none
}

// Stats are counters since New, and the state of the moment.
type Stats struct {
	Connected      bool          // a session is up, with LISTEN in force on every channel subscribed before it
	Channels       int           // channels with at least one subscription
	Subscriptions  int           // open subscriptions
	Received       uint64        // notifications that the server sent, without probes
	Dropped        uint64        // messages that found a subscription's buffer full, counted for each subscription
	Reconnects     uint64        // sessions after the first
	ProbeRoundTrip time.Duration // of the latest probe that came back; 0 before the first
	QueueUsage     float64       // of the server's notification queue at the latest probe, from 0 to 1
}

// Listener is one LISTEN session and its subscriptions. Create it with New.
type Listener struct {
	options Options
	logger  hclog.Logger
	wake    chan struct{} // capacity 1: there is something for Run to do
	calls   atomic.Int64  // of Subscribe

	// Only Run's goroutine uses these.
	queueWarning float64
	queueFills   bool // it has warned of it

	mu            sync.Mutex                 // guards all below, the fields of each Subscription that say so, and their channels
	started       bool                       // Run was called
	ended         bool                       // Run has returned or is about to
	sessions      uint64                     // how many there have been
	subscriptions map[string][]*Subscription // by channel; no entry without a subscription
	listening     map[string]bool            // channels on which LISTEN is in force and stays so
	changed       map[string]bool            // channels whose LISTEN or UNLISTEN may be due
	rename        bool                       // a new application_name is due
	wantedSince   time.Time                  // when the first of the present subscriptions was made
	episodes      []episode                  // to be logged by Run's goroutine
	stats         Stats                      // all but Channels and Subscriptions
}

// New checks the options and makes a Listener that takes subscriptions but delivers nothing before Run.
func New(options Options) (*Listener, error) {
	switch {
	case options.Config == nil:
		return nil, errors.New("listener options: Config is required")
	case options.Config.DialFunc == nil:
		return nil, errors.New("listener options: Config must come from pgx.ParseConfig")
	case options.Patience < 0:
		return nil, fmt.Errorf("listener options: Patience is %s; it must not be negative", options.Patience)
	case options.ProbeInterval < 0:
		return nil, fmt.Errorf("listener options: ProbeInterval is %s; it must not be negative", options.ProbeInterval)
	case options.Buffer < 0:
		return nil, fmt.Errorf("listener options: Buffer is %d; it must not be negative", options.Buffer)
	}
	if options.Patience == 0 {
		options.Patience = 30 * time.Second
	}
	if options.ProbeInterval == 0 {
		options.ProbeInterval = 5 * time.Second
	}
	if options.Buffer == 0 {
		options.Buffer = 64
	}
	if options.Logger == nil {
		options.Logger = hclog.NewNullLogger()
	}
	options.Config = options.Config.Copy()
	if options.Config.RuntimeParams == nil {
		options.Config.RuntimeParams = map[string]string{}
	}
	return &Listener{
		options:       options,
		logger:        options.Logger,
		wake:          make(chan struct{}, 1),
		queueWarning:  queueWarning,
		subscriptions: make(map[string][]*Subscription),
		listening:     make(map[string]bool),
		changed:       make(map[string]bool),
	}, nil
}

// Run connects, delivers, and reconnects whenever the session is lost, until ctx is done: then it returns nil. It returns an
// error, which wraps the last cause, when Patience is exhausted or the server refuses the user, the password or the
// database. When it returns, every subscription has ended and no goroutine or session of its own is left. A Listener
// runs once.
func (l *Listener) Run(ctx context.Context) error {
	if err := l.start(); err != nil {
		return err
	}
	defer l.end()
	var refused string // what it has warned of
	for {
		session, err := l.open(ctx)
		if ctx.Err() != nil {
			if session != nil {
				session.close()
			}
			return nil
		}
		if err != nil && l.patient(err) {
			if message := err.Error(); hopeless(err) && message != refused {
				l.logger.Warn("cannot connect, and whoever subscribes will find out", "error", err)
				refused = message
			}
			if !sleep(ctx, jitter(maxDelay)) {
				return nil
			}
			continue
		}
		if err != nil {
			l.unhealthy(err)
			return err
		}
		refused = ""
		err = l.serve(ctx, session)
		session.close()
		l.disconnected()
		if ctx.Err() != nil {
			return nil
		}
		l.logger.Warn("session lost, will reconnect", "error", err)
		if !sleep(ctx, jitter(firstDelay)) { // even a session that is lost as soon as it is made causes no busy loop
			return nil
		}
	}
}

// unhealthy calls Options.Unhealthy, and does not hang with it.
func (l *Listener) unhealthy(err error) {
	if l.options.Unhealthy == nil {
		return
	}
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		l.options.Unhealthy(err)
	}()
	select {
	case <-returned:
	case <-time.After(unhealthyWait):
	}
}

// Stats may be called at any time.
func (l *Listener) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	stats := l.stats
	stats.Channels = len(l.subscriptions)
	for _, subscriptions := range l.subscriptions {
		stats.Subscriptions += len(subscriptions)
	}
	return stats
}

// open tries until LISTEN is in force on every channel, Patience is exhausted, the server refuses for good, or ctx is done.
func (l *Listener) open(ctx context.Context) (*session, error) {
	outage, cancel := context.WithTimeout(ctx, l.options.Patience)
	defer cancel()
	var cause error
	for delay := firstDelay; ; delay = min(2*delay, maxDelay) {
		session, err := l.connect(outage)
		if err == nil {
			return session, nil
		}
		if hopeless(err) {
			return nil, fmt.Errorf("connect listener: %w", err)
		}
		if cause == nil && ctx.Err() == nil {
			level := hclog.Warn
			if l.unused() {
				level = hclog.Debug
			}
			l.logger.Log(level, "cannot connect, will retry", "patience", l.options.Patience, "error", err)
		}
		if cause == nil || outage.Err() == nil { // the end of patience is not the reason for it
			cause = err
		}
		if !sleep(outage, jitter(delay)) {
			return nil, fmt.Errorf("connect listener within %s: %w", l.options.Patience, cause)
		}
	}
}

// Rename makes the session take the name that SessionName now gives. It may be called at any time and does not wait.
func (l *Listener) Rename() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rename = true
	l.wakeRun()
}

// patient says whether to go on after a failure to connect: nobody subscribes, or not for as long as Patience yet.
func (l *Listener) patient(err error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.subscriptions) == 0 || !hopeless(err) && time.Since(l.wantedSince) < l.options.Patience
}

// unused says that nobody subscribes.
func (l *Listener) unused() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.subscriptions) == 0
}

// hopeless tells an answer that no retry changes: a wrong password, a user that may not log in, a missing database, a pooler.
func hopeless(err error) bool {
	if errors.Is(err, ErrPooler) {
		return true
	}
	refusal, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (refusal.Code == "28P01" || refusal.Code == "28000" || refusal.Code == "3D000")
}

// jitter spreads the reconnects of many processes over the second half of the delay.
func jitter(delay time.Duration) time.Duration {
	return delay/2 + rand.N(delay/2)
}

// sleep waits and says whether it did: false when ctx was done first.
func sleep(ctx context.Context, delay time.Duration) bool {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
