package election

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgsolo/pgsolo/election/internal/holder"
)

const (
	// The intervals at which the successor counts the sessions of its predecessor: at first short, since the sessions
	// of a killed process end within milliseconds.
	minCountInterval = 200 * time.Microsecond
	maxCountInterval = 50 * time.Millisecond

	// terminateTime is how long sessions that were terminated may take to end.
	terminateTime = time.Second
)

const (
	// A session of a role that may not lead is nobody's predecessor, whatever it calls itself.
	ofLeaders = `a.datname = current_database() and a.pid <> pg_backend_pid()
			and starts_with(a.application_name, $1) and ` + holder.MayLead

	countLeaderSessions = `select count(*), exists (select from pgsolo.leader_term
			where election = $2 and timeline = $3 and term = $4 and until is not null)
		from pg_stat_activity a where ` + ofLeaders

	listLeaderSessions = `select a.pid from pg_stat_activity a where ` + ofLeaders

	// A session may have another name by now: a process that leads other elections has taken it for one of these.
	terminate = `select pg_terminate_backend(a.pid) from pg_stat_activity a
		where a.pid = $2 and ` + ofLeaders
)

// successorWait is until when a successor waits at the longest, on the monotonic clock.
type successorWait struct {
	sessions time.Time // for sessions of the previous leader, which it then ends
	restart  time.Time // for the word of a leader whose sessions a restart of the server has ended; zero: none has
}

// longest is the later of the two.
func (w successorWait) longest() time.Time {
	if w.restart.After(w.sessions) {
		return w.restart
	}
	return w.sessions
}

// successorWait decides how long the successor of a leader that did not resign may have to wait. That leader has
// stopped, or its process has ended, one lease after its last ping. When that was is not known exactly:
//
//   - A ping may have come between the last read of this session and the end of the other. So in general it is counted
//     from when the lock was won, which is later.
//   - A leader that was silent for 0.6 of its lease has lost its leadership, and a later answer gives it nothing back
//     (trust.Window). So where that much silence is proved, it is counted from when the last ping was seen, which is
//     later than the ping.
//
// Where no sessions are left they ended with their process, for the process closes them last, unless the server itself
// has ended them: that is told by its start, or, where the leader did not write that down, by dates. A session that has
// met the leader holding the lock has not lived through a restart since. The last ping was before the restart.
func (e *Elector) successorWait(s *session, before leaderRow, wonAt time.Time) (w successorWait) {
	lease := e.leaseOf(before)
	w.sessions = wonAt.Add(lease)
	silent := e.ofLeader(before.term.Number) && e.sighting.silence() >= time.Duration(cancelAt*float64(lease))
	if silent {
		w.sessions = e.sighting.since.Add(lease)
	}
	restarted := before.server != s.server.Start
	if before.server == "" {
		restarted = s.server.At.After(before.since)
	}
	if !restarted || s.met == before.term.Number {
		return w
	}
	// By the server's clock, which may have been set since: not before a lease after the leader was last met, and not
	// after a lease after this session, which is younger than the restart.
	w.restart = s.openedAt.Add(lease - max(0, s.server.Up))
	if e.ofLeader(before.term.Number) {
		if met := e.sighting.until.Add(lease); met.After(w.restart) {
			w.restart = met
		}
	}
	if last := s.openedAt.Add(lease); last.Before(w.restart) {
		w.restart = last
	}
	return w
}

// clearPredecessor waits until no session of an earlier leader is left, and ends those that are when the time for them
// is over. It returns how many it had to end, apart from the one that held the lock: the server frees the lock of a
// session that it ends an instant before the session is gone. The old process has had its lease to stop by then; what
// this ends is what it left behind, or is frozen. It goes on even if a session does not end in time, for then it is
// stuck in the server, not working. After a restart of the server it waits for the old leader's word, too.
func (e *Elector) clearPredecessor(
	ctx context.Context, s *session, before leaderRow, wait successorWait,
) (ended int, err error) {
	prefix, term := e.sessionName("term "), before.term
	count := inSchema(countLeaderSessions, s.schema)
	if time.Until(wait.restart) > maxCountInterval {
		e.logger.Info("the server has restarted: waiting until the previous leader says that it has stopped",
			"leader", term.Holder, "term", term.Number, "at_most", time.Until(wait.restart).Round(time.Millisecond))
	}
	var until time.Time // zero: no session was terminated yet
	for pause := minCountInterval; ; pause = min(2*pause, maxCountInterval) {
		var (
			left    int
			stopped bool
		)
		if err := s.conn.QueryRow(ctx, count, prefix, s.election, term.Timeline, term.Number).
			Scan(&left, &stopped); err != nil {
			return ended, fmt.Errorf("look for sessions of the previous leader: %w", err)
		}
		now := time.Now()
		switch {
		case left == 0 && (stopped || !now.Before(wait.restart)):
			return ended, nil
		case left == 0 || now.Before(wait.sessions):
		case until.IsZero():
			if ended, err = e.terminatePredecessor(ctx, s, prefix, before.lock.PID); err != nil {
				return ended, err
			}
			until, pause = now.Add(terminateTime), minCountInterval
		case now.After(until):
			e.logger.Error("sessions of the previous leader do not end", "sessions", left)
			return ended, nil
		}
		if err := sleep(ctx, pause); err != nil {
			return ended, err
		}
	}
}

// terminatePredecessor ends the sessions that are left. One of another role, which it may not end, it names in the log.
func (e *Elector) terminatePredecessor(
	ctx context.Context, s *session, prefix string, lock int32,
) (ended int, err error) {
	rows, err := s.conn.Query(ctx, inSchema(listLeaderSessions, s.schema), prefix)
	if err != nil {
		return 0, fmt.Errorf("list sessions of the previous leader: %w", err)
	}
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int32])
	if err != nil {
		return 0, fmt.Errorf("list sessions of the previous leader: %w", err)
	}
	for _, pid := range pids {
		_, err := s.conn.Exec(ctx, inSchema(terminate, s.schema), prefix, pid)
		if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
			e.logger.Error("may not end a session that bears the name of the previous leader", "process", pid,
				"error", pgErr.Message)
			continue
		}
		if err != nil {
			return ended, fmt.Errorf("end a session of the previous leader: %w", err)
		}
		if pid != lock {
			ended++
		}
	}
	if ended > 0 {
		e.logger.Warn("ended sessions that the previous leader left", "sessions", ended)
	}
	return ended, nil
}
