package jobs

import (
	"time"

	"github.com/pgsolo/pgsolo/jobs/internal/group"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// ErrFenced means that a leader of a newer term owns the rows: this one must write nothing more. The remedy is to stop.
var ErrFenced = pg.ErrFenced

// The values of an engine's Options.ForgetAfter that have a name.
const (
	DefaultForgetAfter = group.DefaultForgetAfter
	ForgetAtOnce       = time.Duration(-1)
)

// Lead is a leadership, as an engine is told of it. Its fields are those of election.Term, so that jobs.Lead(term)
// converts one. The engines use Number, Holder, Stopping and Held; what an embedder leaves out may stay zero.
type Lead struct {
	Election string // the name of the election
	Holder   string // who leads, for the history of cron jobs; may be empty
	Timeline int32  // of the server's write-ahead log
	Number   int64  // of the term: the higher one is the newer one
	Session  string // the application_name of the leader's sessions

	Stopping <-chan struct{} // closed when the leader should hand over; nil: never
	Held     func() bool     // asked right before a handler or a job is called, which is not if false; nil: always true
}

// Subscription is what an engine needs of a LISTEN session.
type Subscription struct {
	Messages <-chan string   // payloads; closed when the subscription ends
	Missed   <-chan struct{} // receives after messages may have been missed
	Close    func()
}
