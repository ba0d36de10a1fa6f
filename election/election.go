package election

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/election/internal/trust"
)

// Elector takes part in one election.
type Elector struct {
	options  Options
	logger   hclog.Logger
	clock    trust.Clock // of a leadership
	status   statusBoard
	counters counters

	// Only Run's goroutine uses these.
	stoodBy       bool      // the database has answered: it was all there
	unreachable   string    // why the last try found the database or the tables so; empty: it did not
	foreignHolder int32     // process of a session of another application that held the lock at the last read; or 0
	sighting      sighting  // of the session that holds the lock
	unendable     int32     // process of a silent session that this replica may not end; or 0
	blockedBy     int32     // the latest of these that stood there for two reads, and was logged; or 0
	differs       int64     // the term whose leader was seen to have another configuration
	handedOver    int64     // the term that this process handed over when it was asked to
	queuesAgainAt time.Time // even if no other replica leads by then
}

// New checks the options. Its errors name the field.
func New(options Options) (*Elector, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	e := &Elector{options: options, logger: options.Logger, clock: trust.System()}
	e.status.status = Status{Election: options.Name, Role: Outside}
	return e, nil
}

// Status may be called at any time.
func (e *Elector) Status() Status { return e.status.read() }

const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = 5 * time.Second

	// steady is how long a session must have lasted for the next failure to be a new one, which begins with a short
	// backoff.
	steady = 10 * time.Second

	// slack is how late a loop may be before it counts as hung.
	slack = 5 * time.Second
)

// Run takes part until ctx is done, and calls lead each time this process leads. It returns
//
//   - what lead returned, once the leadership is given back: that is also how it ends when ctx is done while leading.
//     After a StepDown that lead met with nil, Run goes on instead;
//   - nil when ctx is done while another leads;
//   - ErrLost, wrapped with the reason, after lead has returned because the leadership was lost: the process should
//     end, so that nothing of it works on, and be started again;
//   - an error that no retry mends: not let in, no such database, ErrSchema, a server or connection on which no lease
//     holds.
//
// Everything else, above all a database that is down, is retried for as long as it takes. So are a database, tables and
// privileges that were there once it stood by: they are being restored.
func (e *Elector) Run(ctx context.Context, lead func(ctx context.Context, term Term) error) error {
	defer e.status.update(func(s *Status) { s.Role, s.AliveUntil = Outside, time.Time{} })
	backoff := minBackoff
	for {
		began := time.Now()
		won, err := e.win(ctx)
		if err == nil {
			again, err := e.runTerm(ctx, won, lead)
			if !again {
				return err
			}
			e.handedOver, e.queuesAgainAt = won.row.term.Number, time.Now().Add(e.options.Lease)
			continue
		}
		if ctx.Err() != nil {
			return nil
		}
		if permanent(err, e.stoodBy) {
			return err
		}
		if time.Since(began) > steady {
			backoff = minBackoff
		}
		e.noteUnreachable(err)
		e.status.busyFor(backoff + slack)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(backoff/2 + rand.N(backoff/2)):
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// noteUnreachable notes that the database cannot be used, with one line in the log until that changes; of the tables,
// one for each reason.
func (e *Elector) noteUnreachable(err error) {
	e.status.update(func(s *Status) { s.Role, s.Denied = Outside, "" })
	e.blockedBy = 0
	reason := strings.Join(strings.Fields(err.Error()), " ")
	switch {
	case ofTables(err) && reason != e.unreachable:
		e.logger.Warn("the tables cannot be used, waiting until they are there and complete", "error", reason)
	case e.unreachable == "":
		e.logger.Warn("the database cannot be used, trying again", "error", reason)
	}
	e.unreachable = reason
}

// sessionName is the application_name of a session of this election.
func (e *Elector) sessionName(what string) string {
	name := e.options.Name
	if e.options.Schema != DefaultSchema {
		name = e.options.Schema + "/" + name // a name has no slash
	}
	return "pgsolo " + name + " " + what
}

// termSession is the application_name of the sessions of a term's leader.
func (e *Elector) termSession(term int64) string { return e.sessionName(fmt.Sprintf("term %d", term)) }
