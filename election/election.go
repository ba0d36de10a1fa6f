package election

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Elector takes part in one election.
type Elector struct {
	options  Options
	logger   hclog.Logger
	status   statusBoard
	counters counters

	// Only Run's goroutine uses these.
	down         bool      // the database was out of reach at the last try
	stranger     int32     // the process of the session that held the lock at the last read and should not; 0: none
	blocked      bool      // by that session
	handedOver   int64     // the term that this process handed over when it was asked to
	sitsOutUntil time.Time // when it may queue again, even if nobody else leads
}

// New checks the options. Its errors name the field.
func New(options Options) (*Elector, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	e := &Elector{options: options, logger: options.Logger}
	e.status.status = Status{Election: options.Name, Role: Outside}
	return e, nil
}

// Status may be called at any time.
func (e *Elector) Status() Status { return e.status.read() }

const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = 5 * time.Second

	// steady is how long a session must have lasted for the next failure to be a new one, which begins with a short backoff.
	steady = 10 * time.Second

	// slack is what a loop may be late by before it counts as hung.
	slack = 5 * time.Second
)

// Run takes part until ctx is done, and calls lead each time this process leads. It returns
//
//   - what lead returned, once the leadership is given back: that is also how it ends when ctx is done while leading. After a
//     StepDown that lead met with nil, Run goes on instead;
//   - nil when ctx is done while another leads;
//   - ErrLost, wrapped with the reason, after lead has returned because the leadership was lost: the process should end, so that
//     nothing of it works on, and be started again;
//   - an error that no retry mends: not let in, no such database, ErrSchema, a server or connection on which no lease holds.
//
// Everything else, a database that is down above all, is retried for as long as it takes.
func (e *Elector) Run(ctx context.Context, lead func(ctx context.Context, term Term) error) error {
	defer e.status.update(func(s *Status) { s.Role, s.AliveUntil = Outside, time.Time{} })
	backoff := minBackoff
	for {
		began := time.Now()
		won, err := e.win(ctx)
		if err == nil {
			again, err := e.reign(ctx, won, lead)
			if !again {
				return err
			}
			e.handedOver, e.sitsOutUntil = won.row.term.Number, time.Now().Add(e.options.Lease)
			continue
		}
		if ctx.Err() != nil {
			return nil
		}
		if hopeless(err) {
			return err
		}
		if time.Since(began) > steady {
			backoff = minBackoff
		}
		e.unreachable(err)
		e.status.busyFor(backoff + slack)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(backoff/2 + rand.N(backoff/2)):
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// victory is a term that has begun.
type victory struct {
	session *session // holds the lock
	row     leaderRow
	proved  time.Time // from which the lease counts at first
}

// win makes one try. Its error is that the session could not be made, or broke.
func (e *Elector) win(ctx context.Context) (victory, error) {
	e.status.busyFor(2*connectTimeout + slack)
	s, err := open(ctx, e.options, e.sessionName("standby"))
	if err != nil {
		return victory{}, err
	}
	before, err := e.stand(ctx, s)
	if err == nil {
		var won victory
		if won, err = e.succeed(ctx, s, before); err == nil {
			return won, nil
		}
		e.options.Group.give()
	}
	s.close()
	return victory{}, err
}

// succeed begins the next term with a session that holds the lock, once nothing of the previous leader is left.
func (e *Elector) succeed(ctx context.Context, s *session, before leaderRow) (victory, error) {
	ended := endedResigned
	if !before.clean {
		deadline := before.readAt.Add(e.options.Lease) // how long it has been silent is not known
		ended = endedSessionLost
		if before.lock.ours && before.lock.heardAt != nil {
			deadline = before.lock.heardAt.Add(e.options.Lease)
			if !before.readAt.Before(deadline) {
				ended = endedLeaseExpired
			}
		}
		if before.room > 0 {
			e.status.busyFor(e.options.Lease + terminateTime + slack)
			sessions, err := e.clearRoom(ctx, s, before.lock.pid, deadline)
			if err != nil {
				return victory{}, err
			}
			if sessions > 0 {
				ended = endedFenced
			}
		}
	}
	proved := time.Now()
	row, err := s.promote(ctx, e.options, ended)
	if err != nil {
		return victory{}, err
	}
	if took := time.Since(proved); took > e.part(cancelAt)/2 {
		return victory{}, fmt.Errorf("beginning term %d took %s, which leaves too little of the lease", row.term.Number, took.Round(time.Millisecond))
	}
	var silence time.Duration
	if !before.clean && before.lock.ours && before.lock.heardAt != nil {
		silence = row.since.Sub(*before.lock.heardAt)
	}
	if before.term.Number == 0 {
		e.logger.Info("leading, the first ever", "term", row.term.Number, "timeline", row.term.Timeline)
		return victory{s, row, proved}, nil
	}
	e.counters.tookOver(ended, silence)
	e.logger.Info("leading", "term", row.term.Number, "timeline", row.term.Timeline,
		"previous_leader", before.holder, "previous_term", ended, "silent_for", silence.Round(time.Millisecond))
	return victory{s, row, proved}, nil
}

// unreachable notes that the database cannot be used, with one line in the log until that changes.
func (e *Elector) unreachable(err error) {
	e.status.update(func(s *Status) { s.Role = Outside })
	e.blocked = false
	if !e.down {
		e.down = true
		e.logger.Warn("the database cannot be used, trying again", "error", strings.Join(strings.Fields(err.Error()), " "))
	}
}

// sessionName is the application_name of a session of this election.
func (e *Elector) sessionName(what string) string {
	name := e.options.Name
	if e.options.Schema != DefaultSchema {
		name = e.options.Schema + "/" + name // a name has no slash
	}
	return "pgsolo " + name + " " + what
}
