package jobs

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// CheckLog refuses, with ErrSchema, an event log whose sequence would have events overlooked: one that gives sessions
// ids in advance, or that does not only count up. It is for the time before a leadership. The remedy is in the error.
func CheckLog(ctx context.Context, conn *pgx.Conn, schema string) error {
	if err := checkEncoding(conn); err != nil {
		return err
	}
	var wrong string
	if err := conn.QueryRow(ctx, pg.Place(pg.SelectSequence, schema)).Scan(&wrong); err != nil {
		return fmt.Errorf("look at the sequence of the event log: %w", err)
	}
	if wrong != "" {
		return fmt.Errorf("%w: %s", ErrSchema, wrong)
	}
	return nil
}
