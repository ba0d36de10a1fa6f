package replica

import "github.com/pgsolo/pgsolo/cmd/pgsolo/config"

// share is how many sessions an election may have at most, beside those that it always has.
type share struct {
	pool       int32 // of the engines
	statements int32 // of statements outside of the log's transactions
}

const (
	// The lock, the listener, and what says that the group has a leader.
	fixedSessions = 3

	// An election has at least that, whatever postgres.max_sessions says: two for the engines, one for statements.
	leastPool, leastStatements = 2, 1
)

// newShare divides the sessions of the process among its elections. A third of an election's part is for the statements
// of cron jobs and of handlers of channels, where it has such.
func newShare(of *config.Election, elections, maxSessions int) (s share) {
	free := maxSessions/elections - fixedSessions
	if of.NeedsSessions {
		s.statements = int32(min(max(leastStatements, free/3), maxStatements))
		free -= int(s.statements)
	}
	most := PoolSize(len(of.Handlers), len(of.Crons), transactionWorkers(of))
	s.pool = min(most, int32(max(leastPool, free)))
	return s
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
