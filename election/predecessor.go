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
	// How often the successor looks whether the room is clear: at first soon, since the sessions of a killed process end within
	// milliseconds, then less often.
	minRoomWait = 200 * time.Microsecond
	maxRoomWait = 50 * time.Millisecond

	// How long sessions that have been told to end may take.
	terminateTime = time.Second
)

const (
	inRoom = `datname = current_database() and pid <> pg_backend_pid() and starts_with(application_name, $1)`

	countRoom = `select count(*), clock_timestamp() >= $2 from pg_stat_activity where ` + inRoom

	listRoom = `select pid from pg_stat_activity where ` + inRoom

	terminate = `select pg_terminate_backend($1)`
)

// clearRoom waits until no session of an earlier leader is left, and at the deadline, on the server's clock, ends those that
// are. It returns how many it had to end, apart from the one that held the lock: the server frees the lock of a session that it
// ends an instant before the session is gone. The old process has had its lease to stop by then; what this ends is what it left
// behind, or is frozen. It goes on even if a session does not end in time, for then it is stuck in the server, not working.
func (e *Elector) clearRoom(ctx context.Context, s *session, holder int32, deadline time.Time) (ended int, err error) {
	prefix := e.sessionName("term ")
	var until time.Time // zero: none has been told to end
	for wait := minRoomWait; ; wait = min(2*wait, maxRoomWait) {
		var (
			left int
			late bool
		)
		if err := s.conn.QueryRow(ctx, countRoom, prefix, deadline).Scan(&left, &late); err != nil {
			return ended, fmt.Errorf("look for sessions of the previous leader: %w", err)
		}
		switch {
		case left == 0:
			return ended, nil
		case late && until.IsZero():
			if ended, err = e.emptyRoom(ctx, s, prefix, holder); err != nil {
				return ended, err
			}
			until, wait = time.Now().Add(terminateTime), minRoomWait
		case late && time.Now().After(until):
			e.logger.Error("sessions of the previous leader do not end", "sessions", left)
			return ended, nil
		}
		if err := sleep(ctx, wait); err != nil {
			return ended, err
		}
	}
}

// emptyRoom ends the sessions in the room. One that it may not end, of another role, it names in the log.
func (e *Elector) emptyRoom(ctx context.Context, s *session, prefix string, holder int32) (ended int, err error) {
	rows, err := s.conn.Query(ctx, listRoom, prefix)
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
			e.logger.Error("may not end a session that bears the name of the previous leader", "process", pid, "error", pgErr.Message)
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
