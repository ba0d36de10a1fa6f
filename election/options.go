package election

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/election/internal/migration"
	"github.com/pgsolo/pgsolo/election/internal/spread"
)

// Group ties the electors of one process together, one for each of several elections, so that the leaderships spread
// over the replicas. The zero value is ready.
type Group = spread.Group

// The defaults of Options.
const (
	DefaultName         = "main"
	DefaultLease        = 5 * time.Second
	DefaultPollInterval = 900 * time.Millisecond
)

// Options say which election a process takes part in, and how. Config is required.
type Options struct {
	// Config reaches PostgreSQL directly: behind a pooler in transaction mode the lock would belong to no client. It is
	// copied.
	Config *pgx.ConnConfig

	Schema string // where Migrate made the tables; default "pgsolo"
	Name   string // of the election: replicas of one name compete; default "main"

	Holder  string // how this process is called in the leader row; default host name and process id
	Address string // where other replicas reach it; default none

	// Lease is how long the server lets a silent leader keep the lock, 1 s to 1 h; default 5 s. The leader gives up
	// sooner: it pings every fifth of it, its context is cancelled after 0.6 of it without an answer, and after 0.9 the
	// process must end.
	Lease time.Duration

	// PollInterval is how long one poll of a standby waits in the lock's queue, from 10 ms up to, not including, 1 s,
	// so that it stays below the deadlock_timeout, after which PostgreSQL may log a wait; default 900 ms.
	PollInterval time.Duration

	// Drain is how long lead may go on once Run's context is done, before its own context is cancelled; default 0.
	Drain time.Duration

	// Unhealthy is called at most once, when lead has not returned 0.9 of the lease after the last ping that succeeded
	// was sent. It must end the process: soon after, another leads. Default: log the error and exit with code 3.
	Unhealthy func(error)

	// Healthy is asked before each ping, and must not block. While it returns an error no ping is sent, so that a
	// leader that makes no progress loses the leadership after 0.6 of the lease. A job that runs long is progress.
	// Default: always healthy.
	Healthy func() error

	// Fingerprint tells what this process would run as the leader from what others would: it stands in the leader row,
	// and a standby whose own one differs logs that. Default none.
	Fingerprint string

	Version string // of the program, for the list of replicas; default none

	// Group ties this elector to those of other elections in the same process. Default: none.
	Group *Group

	// Check is called with each new session, before it queues for the lock. An error of it ends Run, unless it is one
	// of the connection or the server, which is retried like any other, or Check has passed before: then what it looks
	// at is waited for. Default: none.
	Check func(ctx context.Context, conn *pgx.Conn) error

	// LowestTerm returns the lowest number that will do for the next term, because what is fenced with terms has
	// higher ones than the tables of elections, as after a restore of these alone. It is asked when a term begins, and
	// must not block. Default: any number will do.
	LowestTerm func() int64

	// Logger should not block. No step that the lease depends on waits for it, but Run does. Default: none.
	Logger hclog.Logger
}

func (o Options) withDefaults() (Options, error) {
	if o.Config == nil {
		return o, errors.New("election: Config is required")
	}
	o.Config = o.Config.Copy()
	o.Config.DefaultQueryExecMode, o.Config.StatementCacheCapacity = pgx.QueryExecModeCacheStatement, 64
	if o.Schema == "" {
		o.Schema = DefaultSchema
	}
	if o.Name == "" {
		o.Name = DefaultName
	}
	if o.Holder == "" {
		host, err := os.Hostname()
		if err != nil {
			return o, fmt.Errorf("election: Holder: get host name: %w", err)
		}
		o.Holder = fmt.Sprintf("%s/%d", host, os.Getpid())
	}
	if o.Lease == 0 {
		o.Lease = DefaultLease
	}
	if o.PollInterval == 0 {
		o.PollInterval = DefaultPollInterval
	}
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	if o.Unhealthy == nil {
		logger, lease := o.Logger, o.Lease
		o.Unhealthy = func(err error) {
			time.AfterFunc(lease/20, func() { os.Exit(3) }) // before the line, which may block
			logger.Error("exiting", "error", err)
			os.Exit(3)
		}
	}
	if o.LowestTerm == nil {
		o.LowestTerm = func() int64 { return 0 }
	}
	if o.Healthy == nil {
		o.Healthy = func() error { return nil }
	}
	if err := migration.CheckName(o.Schema); err != nil {
		return o, fmt.Errorf("election: Schema: %w", err)
	}
	switch {
	case !electionName.MatchString(o.Name):
		return o, fmt.Errorf("election: Name %q: want letters, digits, '_', '-' and '.', at most 24", o.Name)
	case o.Schema != DefaultSchema && len(o.Schema)+len(o.Name) > maxNames:
		return o, fmt.Errorf("election: Name %q and Schema %q: want at most %d bytes together",
			o.Name, o.Schema, maxNames)
	case o.Lease < time.Second || o.Lease > time.Hour:
		return o, fmt.Errorf("election: Lease %s: want 1s to 1h", o.Lease)
	case o.PollInterval < 10*time.Millisecond || o.PollInterval >= time.Second:
		return o, fmt.Errorf("election: PollInterval %s: want at least 10ms and less than 1s", o.PollInterval)
	case o.Drain < 0:
		return o, fmt.Errorf("election: Drain %s is negative", o.Drain)
	}
	return o, nil
}

// electionName allows what keeps names apart in an application_name, and maxNames leaves room there for the longest
// term: PostgreSQL keeps 63 bytes.
var electionName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,24}$`)

const maxNames = 63 - len("pgsolo / term ") - len("9223372036854775807")
