package listener

import (
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"
)

// ErrEnded is what Subscribe and Run return after Run has ended.
var ErrEnded = errors.New("the listener has ended")

// Options say where a Listener connects and when it gives up. Config is required; New names the field that is wrong.
type Options struct {
	// Config leads to PostgreSQL directly, not through a pooler in transaction mode. It comes from pgx.ParseConfig. New
	// copies it; the copy gets a connect timeout and a client encoding of its own. The caller sets application_name.
	Config *pgx.ConnConfig

	// SessionName, if set, is asked for the application_name of the session whenever channels change, and after Rename.
	// Default: that of Config.
	SessionName func() string

	// Accept, if set, is asked of each new session, and again with SessionName, whether it is where it should be. It is
	// told pg_postmaster_start_time() of its server. An error replaces the session. Default: any server.
	Accept func(serverStart time.Time) error

	// Patience is how long Run keeps connecting without any answer before it gives up; default 30 s. What the server
	// answers, as that it has too many connections, is tried again without an end. While there is no
	// subscription it does not give up, whatever the reason: such a session is there so that it need not be made when
	// it is wanted. Patience starts anew with each session that is lost.
	Patience time.Duration

	// Unhealthy is called at most once, in a goroutine of its own, with the error that Run is about to return: when
	// Patience is exhausted, or at once when the server refuses the user, the password or the database, or a pooler
	// shares its sessions. Run returns when it has, or after a second. Default: none.
	Unhealthy func(error)

	// ProbeInterval is how often the session has to prove that it delivers, and how long each proof may take: one that
	// does not is replaced within twice as long. Default 5 s.
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
	options  Options
	logger   hclog.Logger
	registry *registry

	// Only Run's goroutine uses these.
	queueWarning float64
	queueFills   bool // the log has a warning of it
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
		options: options, logger: options.Logger, registry: newRegistry(), queueWarning: queueWarning,
	}, nil
}

// Stats may be called at any time.
func (l *Listener) Stats() Stats { return l.registry.snapshot() }

// Rename makes the session take the name that SessionName now gives. It may be called at any time and does not wait.
func (l *Listener) Rename() { l.registry.requestRename() }
