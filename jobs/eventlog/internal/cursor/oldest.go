package cursor

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// The first event from the lowest id on that is not done, and the first delivery that waits for nothing but a retry or
// its turn. Each is a step or two in an index.
const selectOldest = `select c.handler, extract(epoch from clock_timestamp() - least(
		(select e.created_at from pgsolo.event e
			where e.id >= lower('{[1,)}'::int8multirange - c.done) order by e.id limit 1),
		(select d.created_at from pgsolo.delivery d
			where d.handler = c.handler and d.topic = c.topic and d.state in ('retry', 'waiting')
			order by d.event_id limit 1)))::float8
	from pgsolo.cursor c
	where c.handler = any ($1)`

// Oldest returns the age of the oldest event that each handler is not done with; handlers that are done with all are
// missing.
func Oldest(ctx context.Context, db pg.DB, handlers []string) (map[string]time.Duration, error) {
	var (
		name    string
		seconds *float64
		ages    = map[string]time.Duration{}
	)
	rows, err := db.Query(ctx, selectOldest, handlers)
	if err == nil {
		_, err = pgx.ForEachRow(rows, []any{&name, &seconds}, func() error {
			if seconds != nil {
				ages[name] = max(1, time.Duration(*seconds*float64(time.Second)))
			}
			return nil
		})
	}
	if err != nil {
		return nil, fmt.Errorf("look for the oldest events: %w", err)
	}
	return ages, nil
}
