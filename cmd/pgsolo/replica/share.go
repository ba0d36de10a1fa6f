package replica

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config"
)

// shares are how many sessions of each kind the process may have at most, beside those that it always has.
type shares struct {
	pool       int32 // of the engines
	statements int32 // of statements outside of the log's transactions
}

const (
	// The listener, and what says which elections this process leads.
	fixedSessions = 2

	// A process has at least that, whatever postgres.max_sessions says: two for the engines, one for statements.
	leastPool, leastStatements = 2, 1

	// minMaxSessions is the least default of postgres.max_sessions. Where the server cannot be asked, the default is
	// a fifth of what PostgreSQL accepts by default.
	minMaxSessions, usualMaxSessions = 5, 20
)

// newShares divides the sessions of the process, beside one for the lock of each election. A third of the rest is for
// the statements of cron jobs and of handlers of channels, where there are such.
func newShares(of *config.Config, maxSessions int) (s shares) {
	free := maxSessions - fixed(of)
	if needsStatements(of) {
		s.statements = int32(min(max(leastStatements, free/3), maxStatements))
		free -= int(s.statements)
	}
	s.pool = min(mostOfPool(of), int32(max(leastPool, free)))
	return s
}

// Shortage says whether events and ticks could use more sessions than the process may have, and how many in all.
// maxSessions is postgres.max_sessions; 0: what it is by default with a server that accepts as many as most do.
func Shortage(of *config.Config, maxSessions int) (couldUse, has int, short bool) {
	has = cmp.Or(maxSessions, usualMaxSessions)
	s, most := newShares(of, has), mostOfPool(of)
	return fixed(of) + int(most+s.statements), has, s.pool < most
}

func fixed(of *config.Config) int { return len(of.Elections) + fixedSessions }

func needsStatements(of *config.Config) bool {
	return slices.ContainsFunc(of.Elections, func(e *config.Election) bool { return e.NeedsSessions })
}

// mostOfPool is how many sessions of the engines could have work at a time.
func mostOfPool(of *config.Config) (most int32) {
	for _, e := range of.Elections {
		most += PoolSize(len(e.Handlers), len(e.Crons), transactionWorkers(e))
	}
	return most
}

// PoolSize is how many sessions of the engines have work at a time: a handler's reads and writes, the cron jobs' writes
// and the pruning of their history, and what the engines do by themselves, which take turns where that is much. Each
// worker of a handler of transactions has one more, for as long as an event takes.
func PoolSize(handlers, crons, transactionWorkers int) int32 {
	sessions := 2*handlers + 2
	if crons > 0 {
		sessions += 2
	}
	return int32(min(max(4, sessions), 16) + transactionWorkers)
}

// transactionWorkers is how many workers have a session for as long as an event takes.
func transactionWorkers(of *config.Election) (n int) {
	for _, h := range of.Handlers {
		if h.InTransaction {
			n += h.Concurrency
		}
	}
	return n
}

// selectAccepts is how many sessions the server accepts, or fewer where the role or the database may have fewer.
const selectAccepts = `select least(pg_catalog.current_setting('max_connections')::int,
		(select nullif(r.rolconnlimit, -1) from pg_catalog.pg_roles r where r.rolname = current_user),
		(select nullif(d.datconnlimit, -1) from pg_catalog.pg_database d
			where d.datname = pg_catalog.current_database()))`

// askTime is how long the server may take to say that. A start must not wait for a server that is down.
const askTime = 2 * time.Second

// maxSessions is the number in the configuration, or by default a fifth of what the server accepts.
func maxSessions(config *pgx.ConnConfig, configured int, logger hclog.Logger) int {
	if configured > 0 {
		return configured
	}
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	accepts, err := ask(ctx, config)
	if err != nil {
		logger.Info("the database cannot say how many sessions it accepts", "max_sessions", usualMaxSessions,
			"error", err)
		return usualMaxSessions
	}
	return max(minMaxSessions, accepts/5)
}

func ask(ctx context.Context, config *pgx.ConnConfig) (accepts int, err error) {
	config = config.Copy()
	config.RuntimeParams["application_name"] = idleName
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return 0, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	err = conn.QueryRow(ctx, selectAccepts).Scan(&accepts)
	return accepts, err
}
