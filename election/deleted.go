package election

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// selectLeft finds the leader of a row that is no more: a session of this election's leaders that holds a lock of no
// row.
const selectLeft = `select coalesce(max(k.pid), 0) from pg_locks k join pg_stat_activity a on a.pid = k.pid
	where k.locktype = 'advisory' and k.classid = 'pgsolo.leader'::regclass and k.objsubid = 2 and k.granted
		and k.database = (select oid from pg_database where datname = current_database())
		and starts_with(a.application_name, $1) and a.usename = current_user
		and not exists (select from pgsolo.leader l where l.lock_id = k.objid::bigint)`

// awaitDeleted returns an error, which is tried again, while the leader of a row that was deleted has not noticed that:
// it does with its next ping. A row that is made now has another lock, which would not wait for it.
func (s *session) awaitDeleted(ctx context.Context, room string) error {
	var pid int32
	if err := s.conn.QueryRow(ctx, inSchema(selectLeft, s.schema), room).Scan(&pid); err != nil {
		return fmt.Errorf("look for the leader of a row that was deleted: %w", err)
	}
	if pid != 0 {
		return fmt.Errorf("%w, and its leader, process %d of the server, is still there", errRowDeleted, pid)
	}
	return nil
}

// checkLock returns why the lock that this session queued for is not the one of the election any more, or nil.
func (s *session) checkLock(ctx context.Context) error {
	var (
		class      int64
		lockID     int32
		recovering bool
	)
	err := s.conn.QueryRow(ctx, inSchema(selectLock, s.schema), s.election).Scan(&class, &lockID, &recovering)
	if errors.Is(err, pgx.ErrNoRows) {
		return errRowDeleted
	}
	if err != nil {
		return err
	}
	return s.sameLock(class, lockID)
}

// sameLock compares the lock of the election, as it was just read, with the one of this session.
func (s *session) sameLock(class int64, lockID int32) error {
	switch {
	case signed(class) != s.classID:
		return errTables
	case lockID != s.lockID:
		return errRowDeleted
	}
	return nil
}

// signed are the same 32 bits: an oid has no sign, the lock's key has one.
func signed(oid int64) int32 { return int32(uint32(oid)) }
