package election

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// sighting is the session that holds the lock, as this replica has seen it, and for how long it has shown the same. All
// times are of the monotonic clock of this process: the server's is a wall clock, which steps. The server's date of the
// latest sign of life is compared with itself alone.
type sighting struct {
	term   int64
	pid    int32
	name   string // application_name
	active time.Time

	// since is after that sign of life: an answer of the server has shown it by then. until is before a read which
	// found no later one: that was sent then, or has been answered then if it is the first.
	since, until time.Time
}

// see takes a row into account that was read between two moments.
func (e *Elector) see(s *session, row leaderRow, sent, answered time.Time) {
	seen := &e.sighting
	lock := row.lock
	if lock.PID != 0 && lock.Name == e.termSession(row.term.Number) {
		s.met = row.term.Number
	}
	switch {
	case lock.PID == 0:
		return // nobody holds it, or this session does: what was seen of the holder before stays true
	case !lock.ours || lock.lastActive == nil:
		*seen = sighting{}
		return
	}
	if seen.term != row.term.Number || seen.pid != lock.PID || seen.name != lock.Name ||
		!seen.active.Equal(*lock.lastActive) {
		*seen = sighting{row.term.Number, lock.PID, lock.Name, *lock.lastActive, answered, answered}
		return
	}
	if sent.After(seen.until) {
		seen.until = sent
	}
}

// ofLeader says whether it is of the leader of a term, rather than of a standby that has the lock and does not lead
// yet.
func (e *Elector) ofLeader(term int64) bool {
	return e.sighting.pid != 0 && e.sighting.term == term && e.sighting.name == e.termSession(term)
}

// silence is for how long no sign of life has come, as far as that is proved.
func (s sighting) silence() time.Duration { return s.until.Sub(s.since) }

// pollTime is how long a poll may wait. A ping is seen within a ping's time, and the moments at which silence means
// something end a poll.
func (e *Elector) pollTime(row leaderRow) time.Duration {
	wait := e.options.longestPoll()
	if e.sighting.pid == 0 {
		return wait
	}
	silent := time.Since(e.sighting.since)
	for _, part := range []float64{cancelAt, 1} {
		if left := time.Duration(part*float64(e.leaseOf(row))) - silent; left > 0 {
			wait = min(wait, max(left, time.Millisecond))
		}
	}
	return wait
}

func (o Options) longestPoll() time.Duration {
	return min(o.PollInterval, time.Duration(pingAt*float64(o.Lease)))
}

// leaseOf is the lease of the leader, where it has said so.
func (e *Elector) leaseOf(row leaderRow) time.Duration {
	if row.lease > 0 {
		return row.lease
	}
	return e.options.Lease
}

// endSession ends the session that holds the lock, unless it has shown a sign of life since.
const endSession = `select pg_terminate_backend(pid) from pg_stat_activity
	where pid = $1 and application_name = $2 and state_change = $3 and datname = current_database()`

// proveSilence reads once more when the holder of the lock seems to have been silent for so long that it leads no more,
// and ends its session when that has lasted for the whole lease. The server does the same (idle_session_timeout), but
// by a date on its wall clock: if that is set back, the silent leader keeps the lock for as long as it was set back.
func (e *Elector) proveSilence(ctx context.Context, s *session, row leaderRow) (leaderRow, error) {
	if row.lease == 0 { // a leader of the version before: only the server knows its lease
		return row, nil
	}
	lease := row.lease
	if e.sighting.pid == 0 || e.sighting.pid != row.lock.PID ||
		time.Since(e.sighting.since) < time.Duration(cancelAt*float64(lease)) {
		return row, nil
	}
	before := row
	row, err := e.readLeader(ctx, s)
	row.remember(before) // its session may just have ended, by the server's word
	if err != nil || row.lock.PID != e.sighting.pid || e.sighting.silence() < lease {
		return row, err
	}
	seen := e.sighting
	tag, err := s.conn.Exec(ctx, endSession, seen.pid, seen.name, seen.active)
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		if e.unendable != seen.pid {
			e.unendable = seen.pid
			e.logger.Error("the leader has been silent for its lease, and this replica may not end its session",
				"process", seen.pid, "leader", row.term.Holder, "error", pgErr.Message)
		}
		return row, nil
	}
	if err != nil {
		return row, fmt.Errorf("end the session of a silent leader: %w", err)
	}
	if tag.RowsAffected() > 0 {
		e.logger.Warn("the leader has been silent for its lease: ended its session", "process", seen.pid,
			"leader", row.term.Holder, "term", row.term.Number)
	}
	return row, nil
}
