package election

import (
	"context"
	"fmt"
	"time"
)

const (
	// How often the successor looks whether the room is clear: at first soon, since the sessions of a killed process end within
	// milliseconds, then less often.
	minRoomWait = time.Millisecond
	maxRoomWait = 50 * time.Millisecond

	// How long sessions that have been told to end may take.
	terminateTime = time.Second
)

const (
	inRoom = `datname = current_database() and pid <> pg_backend_pid() and starts_with(application_name, $1)`

	countRoom = `select count(*), clock_timestamp() >= $2 from pg_stat_activity where ` + inRoom

	emptyRoom = `select count(*) filter (where told and pid <> $2)
		from (select pid, pg_terminate_backend(pid) as told from pg_stat_activity where ` + inRoom + ` offset 0) s`
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
			if err := s.conn.QueryRow(ctx, emptyRoom, prefix, holder).Scan(&ended); err != nil {
				return ended, fmt.Errorf("end sessions of the previous leader: %w", err)
			}
			if ended > 0 {
				e.logger.Warn("ended sessions that the previous leader left", "sessions", ended)
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
