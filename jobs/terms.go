package jobs

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// What is fenced with a term, and of the history of cron jobs the rows that are open, and the latest of each job: an
// older one has no higher term.
const selectHighestTerm = `select greatest(0,
		(select max(term) from pgsolo.cursor), (select max(term) from pgsolo.doorbell),
		(select max(term) from pgsolo.jobs_group),
		(select max(term) from pgsolo.cron_leader), (select max(term) from pgsolo.cron_job),
		(select max(term) from pgsolo.cron_run where outcome in ('queued', 'running', 'retrying')),
		(select max(r.term) from pgsolo.cron_job j cross join lateral (
			select term from pgsolo.cron_run where job = j.job order by scheduled_at desc limit 10) r))`

// LowestTerm returns the lowest number of a term that is above every one that stands in the schema: with a lower one a
// leader is fenced off by rows that earlier leaders have written. Where terms are given out by what can be restored or
// deleted by itself, as those of package election, it is to be asked before a leadership.
func LowestTerm(ctx context.Context, conn *pgx.Conn, schema string) (int64, error) {
	var highest int64
	if err := conn.QueryRow(ctx, pg.Place(selectHighestTerm, schema)).Scan(&highest); err != nil {
		return 0, fmt.Errorf("read the highest term: %w", err)
	}
	return highest + 1, nil
}
