package election

import (
	"context"
	"fmt"
	"time"

	"github.com/pgsolo/pgsolo/election/internal/trust"
)

// wonTerm is a term that has begun.
type wonTerm struct {
	session *session // holds the lock
	row     leaderRow
	proved  trust.Moment // from which the lease counts at first

	announce func() // logs it; once the limits of the lease are set, since a log may block
}

// win makes one try. Its error is that the session could not be made, or broke.
func (e *Elector) win(ctx context.Context) (wonTerm, error) {
	e.status.busyFor(2*connectTimeout + slack)
	s, err := open(ctx, e.options, e.sessionName("standby"))
	if err != nil {
		return wonTerm{}, err
	}
	before, err := e.standBy(ctx, s)
	if err == nil {
		var won wonTerm
		if won, err = e.takeOver(ctx, s, before, time.Now()); err == nil {
			return won, nil
		}
		e.options.Group.Release()
	}
	err = explain(ctx, s.conn, s.schema, err)
	s.close()
	return wonTerm{}, err
}

// takeOver begins the next term with a session that has held the lock since wonAt, once nothing of the previous leader
// is left.
func (e *Elector) takeOver(ctx context.Context, s *session, before leaderRow, wonAt time.Time) (wonTerm, error) {
	ended := endedResigned
	if !before.clean || before.laterSessions > 0 {
		ended = e.howEnded(before)
		wait := e.successorWait(s, before, wonAt)
		if before.leaderSessions > 0 || wait.restart.After(wonAt) {
			e.status.busyFor(time.Until(wait.longest()) + terminateTime + slack)
			sessions, err := e.clearPredecessor(ctx, s, before, wait)
			if err != nil {
				return wonTerm{}, err
			}
			if sessions > 0 {
				ended = endedFenced
			}
		}
	}
	proved := e.clock.Now()
	lowest := max(e.options.LowestTerm(), s.highestTerm+1)
	row, err := s.beginTerm(ctx, e.options, before.term.Number, lowest, ended)
	if err != nil {
		return wonTerm{}, err
	}
	unused := context.Cause(ctx)
	if took := proved.Elapsed(e.clock.Now()); took > e.part(cancelAt)/2 {
		unused = fmt.Errorf("beginning term %d took %s, which leaves too little of the lease",
			row.term.Number, took.Round(time.Millisecond))
	}
	if unused != nil {
		return wonTerm{}, s.giveBack(ctx, row.term, unused)
	}
	var silence time.Duration
	if !before.clean && before.lock.ours && before.lock.lastActive != nil {
		silence = row.since.Sub(*before.lock.lastActive)
	}
	if before.term.Number == 0 {
		return wonTerm{s, row, proved, func() {
			e.logger.Info("leading, the first ever", "term", row.term.Number, "timeline", row.term.Timeline)
		}}, nil
	}
	e.counters.tookOver(ended, silence)
	return wonTerm{s, row, proved, func() {
		e.logger.Info("leading", "term", row.term.Number, "timeline", row.term.Timeline, "previous_leader",
			before.term.Holder, "previous_term", ended, "silent_for", silence.Round(time.Millisecond))
	}}, nil
}

// howEnded is how the term of a leader ended that has not written that down, for the history. It goes by the server's
// dates: nothing depends on it.
func (e *Elector) howEnded(before leaderRow) string {
	lease := e.leaseOf(before)
	if before.lock.ours && before.lock.lastActive != nil && before.readAt.Sub(*before.lock.lastActive) >= lease ||
		e.ofLeader(before.term.Number) && e.sighting.silence() >= lease {
		return endedLeaseExpired
	}
	return endedSessionLost
}
