package eventlog

import (
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/txsession"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// Transactions lends the connections of a pool to transactions of handlers, and cleans them when they change hands.
type Transactions = txsession.Sessions

// NewTransactions has room for all but four connections of the pool, for half at least.
func NewTransactions(pool *pgxpool.Pool) *Transactions {
	return txsession.New(pool, pg.TransactionSessions(pool))
}

// Options say what a Runner runs. Pool is required; New names the field that is wrong. jobs.Migrate has to have made
// the tables.
type Options struct {
	// Pool serves the runner's own statements. Where the successor of a leader waits for the end of its sessions, as
	// that of package election does, they have to bear the name that it looks for: make a pool for each term,
	// or name them in PrepareConn, whose context is that of Run.
	//
	// Each handler uses at most two connections at a time, one to read ahead and one to write progress, one with
	// HandleTx one more for each worker. Where there are fewer, they take turns.
	//
	// Let AfterConnect put jobs.SessionSettings in force, which override what the role sets. Statements of HandleTx
	// have the role's own search_path, row_security, jit, statement_timeout and lock_timeout all the same. What they
	// leave in a session, settings, a role, locks or temporary tables, reaches no other handler: when it changes hands
	// it is cleaned, and AfterConnect and PrepareConn are called anew.
	Pool *pgxpool.Pool

	// Transactions lends connections of the pool to HandleTx. Runners that share a pool have to share it, too.
	Transactions *Transactions

	Schema   string // where Migrate made the tables; default "pgsolo"
	Group    string // differs between runners in one schema that run different handlers; default "main"
	Handlers []Handler

	// Topics are those whose events are kept for a limited time, and those that producers may use although no handler
	// here has them. Events of any other topic are refused from the first term on, unless another group knows it or one
	// of the topics is "*".
	Topics []Topic

	// ForgetAfter is how long the group has to be led without a handler, a topic or a retention that an earlier leader
	// had, until that counts no more: an older configuration may lead for a moment during a deploy. Until then such a
	// handler holds back the log, such a topic is accepted, and of a topic's retentions the longest counts. Time in
	// which nobody leads does not count. Default jobs.DefaultForgetAfter, that is 24 h; jobs.ForgetAtOnce: no time.
	ForgetAfter time.Duration

	// Subscribe connects a channel of NOTIFY with the runner: the doorbell of the event log, and each channel that a
	// handler names. Without it the log is read by polling alone, at intervals from 5 ms to 1 s, producers send no
	// NOTIFY, and handlers on channels are refused.
	Subscribe func(channel string) (jobs.Subscription, error)

	Logger hclog.Logger // default: none
}

// Topic is a part of the event log.
type Topic struct {
	Name string // "*": every topic that is not named; with it any topic is accepted

	// Retention is how long after its creation an event is kept; default: for ever. It is kept longer while a handler
	// of its topic has not finished it.
	Retention time.Duration

	// MaxPayload is how many bytes an event may take, as jsonb before it is compressed, if that is more than 16 MB,
	// which every topic may have. Its text may take twice as much, for each event that is under way.
	MaxPayload int64
}

// Handler names a function and the events that it gets.
type Handler struct {
	Name string // unique among handlers of a schema: its cursor is kept under this name

	// Revision tells one definition of the handler from another: a leader logs that it differs from the leader's
	// before. Default none.
	Revision string

	// Exactly one of Topic and Channel is set. Topic: rows of the event log, at least once. Channel: plain NOTIFY, at
	// most once, never retried; of the fields below only Handle, Concurrency, Timeout, When and Rate apply to it.
	Topic   string
	Channel string

	// Exactly one of Handle and HandleTx is set.
	Handle   HandleFunc
	HandleTx HandleTxFunc

	// Batch is how many events at most share one transaction of HandleTx, each in a savepoint of its own; default 1.
	// They are handled one after the other; a batch is never waited for.
	Batch int

	Concurrency int           // how many events, or batches, it handles at a time; default 1
	Timeout     time.Duration // of one attempt; default 30 s

	Start  Start                     // where a new handler begins; default StartEarliest
	When   func(Event) (bool, error) // which events it gets; default all. An error is a failed attempt
	Order  Order                     // default OrderNone
	OnDead OnDead                    // with OrderKey; default OnDeadContinue

	Rate    jobs.Rate    // default: as fast as they come
	Retry   jobs.Retry   // of events that failed
	Breaker jobs.Breaker // default: none
}

// Start says where a handler begins that has no cursor yet.
type Start string

// The places to begin.
const (
	StartEarliest Start = "earliest" // with the oldest event that the log still has

	// StartLatest is with the ids that are given out from then on. What was inserted before does not come, even if it
	// commits later.
	StartLatest Start = "latest"
)

// Order says which events of a handler exclude one another.
type Order string

// The orders.
const (
	OrderNone Order = "none"

	// OrderKey: events with one key are handled one at a time, in the order in which their transactions committed as
	// far as one began after the other had ended, else in that of their ids. While one waits for a retry, the later
	// ones of its key wait behind it. One with deliver_at has its place in the order only from that instant on. Events
	// without a key are in no order.
	OrderKey Order = "key"
)

// OnDead says what a dead letter means for the later events of its key.
type OnDead string

// What a dead letter may mean.
const (
	OnDeadContinue OnDead = "continue"  // nothing
	OnDeadBlockKey OnDead = "block_key" // they wait until it is replayed with success, or discarded
)
