package jobs

import (
	"context"
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
// converts one. The engines use Number, Holder, Stopping and Held, the actions Held and Over; what an embedder leaves
// out may stay zero.
type Lead struct {
	Election string // the name of the election
	Holder   string // who leads, for the history of cron jobs; may be empty
	Timeline int32  // of the server's write-ahead log

	// Number is that of the term: the higher one is the newer one. It has to be unique in the schema, over the leaders
	// of all groups, as that of package election is: a handler may move from one group to another, and what is written
	// of its progress names the handler and the term, not the group.
	Number int64

	Session string // the application_name of the leader's sessions

	// ServerStart names the server that holds the leader's lock. An engine relies on the pool that its sessions are
	// there.
	ServerStart time.Time

	Stopping <-chan struct{} // closed when the leader should hand over; nil: never

	// Over is closed when another leader may begin at any moment. What still runs outside of this process has to be
	// killed then, without the grace that a handover or the timeout of an attempt has, even where such a grace has
	// begun already. The end of the context comes with it or before. nil: never.
	Over <-chan struct{}

	// Held is asked right before something begins, which it does not if false. False is final: the context ends soon.
	// nil: always true.
	Held func() bool
}

type leadKey struct{}

// WithLead makes lead known to Held and Over, for actions that know nothing of the engine that calls them. Run does so;
// who calls an engine's own Run does it where an action needs it.
func WithLead(ctx context.Context, lead Lead) context.Context {
	return context.WithValue(ctx, leadKey{}, lead)
}

// Held asks Lead.Held of the leadership in which ctx was made, right before an effect outside of the database: a
// process that was frozen between two steps goes on as if no time had passed. It is true where no leadership is known.
func Held(ctx context.Context) bool {
	lead, _ := ctx.Value(leadKey{}).(Lead)
	return lead.Held == nil || lead.Held()
}

// Over is Lead.Over of the leadership in which ctx was made. Unlike the end of ctx it has one meaning: a context that
// has ended by the timeout of an attempt does not tell that the leadership was lost since. It is nil where none is
// known.
func Over(ctx context.Context) <-chan struct{} {
	lead, _ := ctx.Value(leadKey{}).(Lead)
	return lead.Over
}

// Subscription is what an engine needs of a LISTEN session. With s, a subscription of package listener, it is
//
//	jobs.Subscription{Messages: s.Messages(), Missed: s.Missed(), Close: s.Close}
type Subscription struct {
	Messages <-chan string   // payloads; closed when the subscription ends
	Missed   <-chan struct{} // receives after messages may have been missed
	Close    func()
}
