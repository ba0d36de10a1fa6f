package election

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
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
	ofLeaders = `datname = current_database() and pid <> pg_backend_pid() and starts_with(application_name, $1)`

	countLeaderSessions = `select count(*), clock_timestamp() >= $2 from pg_stat_activity where ` + ofLeaders

	listLeaderSessions = `select pid from pg_stat_activity where ` + ofLeaders

	terminate = `select pg_terminate_backend($1)`
)

// clearPredecessor waits until no session of an earlier leader is left, and at the deadline, on the server's clock,
// ends those that are. It returns how many it had to end, apart from the one that held the lock: the server frees the
// lock of a session that it ends an instant before the session is gone. The old process has had its lease to stop by
// then; what this ends is what it left behind, or is frozen. It goes on even if a session does not end in time, for
// then it is stuck in the server, not working.
func (e *Elector) clearPredecessor(
	ctx context.Context, s *session, holder int32, deadline time.Time,
) (ended int, err error) {
	prefix := e.sessionName("term ")
	var until time.Time // zero: no session was terminated yet
	for wait := minCountInterval; ; wait = min(2*wait, maxCountInterval) {
		var (
			left int
			late bool
		)
		if err := s.conn.QueryRow(ctx, countLeaderSessions, prefix, deadline).Scan(&left, &late); err != nil {
			return ended, fmt.Errorf("look for sessions of the previous leader: %w", err)
		}
		switch {
		case left == 0:
			return ended, nil
		case late && until.IsZero():
			if ended, err = e.terminatePredecessor(ctx, s, prefix, holder); err != nil {
				return ended, err
			}
			until, wait = time.Now().Add(terminateTime), minCountInterval
		case late && time.Now().After(until):
			e.logger.Error("sessions of the previous leader do not end", "sessions", left)
			return ended, nil
		}
		if err := sleep(ctx, wait); err != nil {
			return ended, err
		}
	}
}

// terminatePredecessor ends the sessions that are left. One of another role, which it may not end, it names in the log.
func (e *Elector) terminatePredecessor(
	ctx context.Context, s *session, prefix string, holder int32,
) (ended int, err error) {
	rows, err := s.conn.Query(ctx, listLeaderSessions, prefix)
	if err != nil {
		return 0, fmt.Errorf("list sessions of the previous leader: %w", err)
	}
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int32])
	if err != nil {
		return 0, fmt.Errorf("list sessions of the previous leader: %w", err)
	}
	for _, pid := range pids {
		_, err := s.conn.Exec(ctx, terminate, pid)
		if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
			e.logger.Error("may not end a session that bears the name of the previous leader", "process", pid,
				"error", pgErr.Message)
			continue
		}
		if err != nil {
			return ended, fmt.Errorf("end a session of the previous leader: %w", err)
		}
		if pid != holder {
			ended++
		}
	}
	if ended > 0 {
		e.logger.Warn("ended sessions that the previous leader left", "sessions", ended)
	}
	return ended, nil
}
