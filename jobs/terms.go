package jobs

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// LowestTerm returns the lowest number of a term that is above every one that stands in the schema: with a lower one a
// leader is fenced off by rows that earlier leaders have written. Where terms are given out by what can be restored or
// deleted by itself, as those of package election, it is to be asked before a leadership.
func LowestTerm(ctx context.Context, conn *pgx.Conn, schema string) (int64, error) {
	var highest int64
	if err := conn.QueryRow(ctx, pg.Place(`select pgsolo.highest_term()`, schema)).Scan(&highest); err != nil {
		return 0, fmt.Errorf("read the highest term: %w", pg.NameGrants(ctx, conn, schema, err))
	}
	return highest + 1, nil
}
