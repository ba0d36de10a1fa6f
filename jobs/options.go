package jobs

import (
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Options say what a Runner runs. Pool and one handler or cron job are required; New names the field that is wrong.
type Options struct {
	// Pool serves the runner's own statements: each handler uses at most one connection at a time, and so does each cron
	// job while it writes a tick.
	Pool *pgxpool.Pool

	Schema   string // where Migrate made the tables; default "pgsolo"
	Group    string // tells runners in one schema apart that run different handlers; default "main"
	Handlers []Handler
	Crons    []Cron

	// Subscribe connects a channel of NOTIFY with the runner: the doorbell of the event log, and each channel that a
	// handler names. Without it the log is read by polling alone, and handlers on channels are refused.
	Subscribe func(channel string) (Subscription, error)

	Logger hclog.Logger // default: none
}

// Subscription is what the runner needs of a LISTEN session.
type Subscription struct {
	Messages <-chan string   // payloads; closed when the subscription ends
	Missed   <-chan struct{} // receives after messages may have been missed
	Close    func()
}

// Handler names a function and the events that it gets.
type Handler struct {
	Name string // unique among handlers: its cursor is kept under this name

	// Exactly one of Topic and Channel is set. Topic: rows of the event log, at least once. Channel: plain NOTIFY, at most
	// once, never retried.
	Topic   string
	Channel string

	Handle      HandleFunc
	Concurrency int           // how many events it handles at a time; default 1
	Timeout     time.Duration // of one attempt; default 30 s
	Retry       Retry
}

// Retry says what happens to an event whose attempt failed: the n-th retry waits min(MaxBackoff, Backoff * 2^(n-1)), give or
// take a tenth; after the last attempt the event is a dead letter.
type Retry struct {
	Attempts   int           // in all, the first included; default 10
	Backoff    time.Duration // default 1 s
	MaxBackoff time.Duration // default 1 h
}

// Cron names a function and the times at which it runs.
type Cron struct {
	Name     string         // unique among cron jobs: its last tick is kept under this name
	Schedule string         // five fields, six with seconds first, a descriptor such as @daily, or @every and a duration
	Location *time.Location // of the schedule's fields; default UTC

	Run     TickFunc
	Timeout time.Duration // of one run; default 1 h

	Missed           Missed        // default MissedOnce
	StartingDeadline time.Duration // how late a missed tick, one more than 1 s late, may still start; default 1 h
}

// Missed says which of the ticks that passed while nobody led are made up for, among those within the starting deadline.
type Missed string

// The policies for missed ticks.
const (
	MissedSkip Missed = "skip" // none
	MissedOnce Missed = "once" // the latest
	MissedAll  Missed = "all"  // each, the oldest first, one after the other, at most 1000 of them; what comes due meanwhile waits
)
