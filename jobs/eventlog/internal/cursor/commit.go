package cursor

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Two statements, so that the second one sees what the transaction has committed that the first one may have waited
// for.
const (
	lockCursor = `select from pgsolo.cursor where handler = $1 and term = $2 for update`

	selectDone = `select case when $3 then not exists (select from pgsolo.delivery where handler = $1 and event_id = $2)
			else (select done @> $2::bigint from pgsolo.cursor where handler = $1) end`
)

// IsDone says whether a transaction that may have been committed has marked the event as done, once that transaction
// has ended. retry: the event has a row of its own.
func (c Cursor) IsDone(ctx context.Context, event int64, retry bool) (done bool, err error) {
	err = pgx.BeginTxFunc(ctx, c.DB.Pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		placed := c.DB.Tx(tx)
		tag, err := placed.Exec(ctx, lockCursor, c.Handler, c.Term)
		if err != nil {
			return fmt.Errorf("lock cursor of %q: %w", c.Handler, err)
		}
		if tag.RowsAffected() == 0 {
			return c.fenced()
		}
		return placed.QueryRow(ctx, selectDone, c.Handler, event, retry).Scan(&done)
	})
	return done, err
}
