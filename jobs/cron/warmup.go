package cron

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs/cron/internal/rows"
)

// WarmUp prepares a standby's session of Pool for the first statements of a leader, and runs none of them.
func (s *Scheduler) WarmUp(ctx context.Context, conn *pgx.Conn) error {
	return s.store.DB.WarmUp(ctx, conn, rows.First)
}
