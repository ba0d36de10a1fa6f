package replica

import (
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/listener"
)

// MessageBuffer is how many messages of a channel may wait for its handler.
const MessageBuffer = 1024

// Subscribe lends a runner the subscriptions of a listener.
func Subscribe(l *listener.Listener) func(channel string) (jobs.Subscription, error) {
	return func(channel string) (jobs.Subscription, error) {
		s, err := l.Subscribe(channel)
		if err != nil {
			return jobs.Subscription{}, err
		}
		return jobs.Subscription{Messages: s.Messages(), Missed: s.Missed(), Close: s.Close}, nil
	}
}

// PoolSize is how many sessions have work at a time: a handler's reads and writes, the cron jobs' writes and the
// pruning of their history, and what the engines do by themselves, which take turns where that is much. Each worker of
// a handler of transactions has one more, for as long as an event takes: those must leave the others theirs.
func PoolSize(handlers, crons, transactionWorkers int) int32 {
	sessions := 2*handlers + 2
	if crons > 0 {
		sessions += 2
	}
	return int32(min(max(4, sessions), 16) + transactionWorkers)
}
