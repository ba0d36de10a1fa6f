package election

import (
	"context"
	"fmt"
)

// A leader row that was deleted, or restored by itself, is behind the history.
const selectHighestTerm = `select coalesce(max(term), 0) from pgsolo.leader_term`

// readHighestTerm notes what the history has.
func (s *session) readHighestTerm(ctx context.Context) error {
	if err := s.conn.QueryRow(ctx, inSchema(selectHighestTerm, s.schema)).Scan(&s.highestTerm); err != nil {
		return fmt.Errorf("read the highest term: %w", err)
	}
	return nil
}
