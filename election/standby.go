package election

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	campaign = `select pgsolo.campaign($1, $2, $3)`

	selectLeader = `select timeline, term, coalesce(holder, ''), coalesce(address, ''), coalesce(since, 'epoch')
		from pgsolo.leader where election = $1`
)

// stand polls until the lock is this session's.
func (e *Elector) stand(ctx context.Context, s *session) error {
	row, err := s.leader(ctx)
	for won := false; err == nil && !won; {
		e.standingBy(row)
		won, row, err = s.poll(ctx, e.options.PollInterval, e.options.Lease)
	}
	return err
}

// standingBy notes that the database answered.
func (e *Elector) standingBy(row leaderRow) {
	if e.status.read().Role != Standby {
		e.logger.Info("standing by", "leader", row.holder, "term", row.term.Number)
	}
	e.down = false
	e.status.saw(Standby, row)
	e.status.busyFor(e.options.PollInterval + e.options.Lease + slack)
}

// leader reads the leader row.
func (s *session) leader(ctx context.Context) (leaderRow, error) {
	row, err := scanLeader(s.conn.QueryRow(ctx, inSchema(selectLeader, s.schema), s.election))
	if err != nil {
		return row, fmt.Errorf("read the leader row: %w", err)
	}
	return row, nil
}

func scanLeader(r pgx.Row) (row leaderRow, err error) {
	err = r.Scan(&row.term.Timeline, &row.term.Number, &row.holder, &row.address, &row.since)
	return row, err
}

// poll waits in the server's queue for the lock, for as long as wait, and reads the leader row, in one round trip. When ctx ends
// it asks the server to cancel the wait, rather than leave a dead waiter in the queue.
func (s *session) poll(ctx context.Context, wait, grace time.Duration) (won bool, row leaderRow, err error) {
	var cancelling sync.WaitGroup
	cancelling.Add(1)
	stop := context.AfterFunc(ctx, func() {
		defer cancelling.Done()
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = s.conn.PgConn().CancelRequest(bounded) // if it does not arrive, the wait ends by itself
	})
	defer func() {
		if !stop() {
			cancelling.Wait()
		}
	}()

	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), wait+grace)
	defer cancel()
	batch := &pgx.Batch{}
	batch.Queue(inSchema(campaign, s.schema), s.classID, s.lockID, wait.Milliseconds()).QueryRow(func(r pgx.Row) error {
		return r.Scan(&won)
	})
	batch.Queue(inSchema(selectLeader, s.schema), s.election).QueryRow(func(r pgx.Row) (err error) {
		row, err = scanLeader(r)
		return err
	})
	if err := s.conn.SendBatch(bounded, batch).Close(); err != nil {
		return false, leaderRow{}, fmt.Errorf("queue for the lock: %w", err)
	}
	return won, row, nil
}
