package election

import (
	"context"
	"fmt"
	"time"
)

// wonTerm is a term that has begun.
type wonTerm struct {
	session *session // holds the lock
	row     leaderRow
	proved  moment // from which the lease counts at first
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
		if won, err = e.takeOver(ctx, s, before); err == nil {
			return won, nil
		}
		e.options.Group.release()
	}
	s.close()
	return wonTerm{}, err
}

// takeOver begins the next term with a session that holds the lock, once nothing of the previous leader is left.
func (e *Elector) takeOver(ctx context.Context, s *session, before leaderRow) (wonTerm, error) {
	ended := endedResigned
	if !before.clean {
		deadline := before.readAt.Add(e.options.Lease) // how long the leader has been silent is not known
		ended = endedSessionLost
		if before.lock.ours && before.lock.lastActive != nil {
			deadline = before.lock.lastActive.Add(e.options.Lease)
			if !before.readAt.Before(deadline) {
				ended = endedLeaseExpired
			}
		}
		if before.leaderSessions > 0 {
			e.status.busyFor(e.options.Lease + terminateTime + slack)
			sessions, err := e.clearPredecessor(ctx, s, before.lock.pid, deadline)
			if err != nil {
				return wonTerm{}, err
			}
			if sessions > 0 {
				ended = endedFenced
			}
		}
	}
	proved := e.clock.now()
	row, err := s.beginTerm(ctx, e.options, ended)
	if err != nil {
		return wonTerm{}, err
	}
	if took := proved.elapsed(e.clock.now()); took > e.part(cancelAt)/2 {
		return wonTerm{}, fmt.Errorf("beginning term %d took %s, which leaves too little of the lease",
			row.term.Number, took.Round(time.Millisecond))
	}
	var silence time.Duration
	if !before.clean && before.lock.ours && before.lock.lastActive != nil {
		silence = row.since.Sub(*before.lock.lastActive)
	}
	if before.term.Number == 0 {
		e.logger.Info("leading, the first ever", "term", row.term.Number, "timeline", row.term.Timeline)
		return wonTerm{s, row, proved}, nil
	}
	e.counters.tookOver(ended, silence)
	e.logger.Info("leading", "term", row.term.Number, "timeline", row.term.Timeline,
		"previous_leader", before.term.Holder, "previous_term", ended, "silent_for", silence.Round(time.Millisecond))
	return wonTerm{s, row, proved}, nil
}
