package cursor

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

const selectBlocked = `select distinct key from pgsolo.delivery
	where handler = $1 and topic = $4 and key <> '' and (state in ('retry', 'waiting') or $2 and state = 'dead')
	limit $3`

// BlockedKeys returns the keys with rows that the later events of the key have to wait behind, at most limit. dead:
// dead letters block their keys, too.
func (c Cursor) BlockedKeys(ctx context.Context, dead bool, limit int) ([]string, error) {
	rows, err := c.DB.Query(ctx, selectBlocked, c.Handler, dead, limit, c.Topic)
	if err != nil {
		return nil, fmt.Errorf("read blocked keys: %w", err)
	}
	keys, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read blocked keys: %w", err)
	}
	return keys, nil
}

const setWaitingFree = `update pgsolo.delivery set state = 'retry', next_at = clock_timestamp()
	where handler = $1 and topic = $3 and state = 'waiting'
		and exists (select from pgsolo.cursor where handler = $1 and term = $2)`

// FreeWaiting makes due what has waited for its turn since the handler had an order.
func (c Cursor) FreeWaiting(ctx context.Context) error {
	if _, err := c.DB.Exec(ctx, setWaitingFree, c.Handler, c.Term, c.Topic); err != nil {
		return fmt.Errorf("free waiting deliveries: %w", err)
	}
	return nil
}
