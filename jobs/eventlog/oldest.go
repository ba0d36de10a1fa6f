package eventlog

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs/internal/loop"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// oldestEvery is how often the leader reads the age of the oldest event that each handler is not done with.
const oldestEvery = 5 * time.Second

// The first event from the lowest id on that is not done, and the first delivery that waits for nothing but a retry or
// its turn. Each is a step or two in an index.
const selectOldest = `select c.handler, extract(epoch from clock_timestamp() - least(
		(select e.created_at from pgsolo.event e
			where e.id >= lower('{[1,)}'::int8multirange - c.done) order by e.id limit 1),
		(select d.created_at from pgsolo.delivery d
			where d.handler = c.handler and d.state in ('retry', 'waiting') order by d.event_id limit 1)))::float8
	from pgsolo.cursor c
	where c.handler = any ($1)`

// watchOldest keeps the ages for Stats. They are worth no more than that: what goes wrong is left to the loops that it
// stops.
func (r *Runner) watchOldest(ctx context.Context, lead *loop.Leadership) error {
	ticker := time.NewTicker(oldestEvery)
	defer ticker.Stop()
	logger := r.options.Logger.Named("stats")
	for {
		select {
		case <-lead.Starting.Done():
			return nil
		case <-ticker.C:
			if err := pg.Try(ctx, r.readOldest); err != nil {
				logger.Debug("age of the oldest event is not known", "error", err)
			}
		}
	}
}

func (r *Runner) readOldest(ctx context.Context) error {
	rows, err := r.db.Query(ctx, selectOldest, r.handlerNames())
	if err != nil {
		return fmt.Errorf("look for the oldest events: %w", err)
	}
	var (
		name    string
		seconds *float64
		ages    = map[string]time.Duration{}
	)
	_, err = pgx.ForEachRow(rows, []any{&name, &seconds}, func() error {
		if seconds != nil {
			ages[name] = max(1, time.Duration(*seconds*float64(time.Second)))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("look for the oldest events: %w", err)
	}
	now := time.Now()
	for _, h := range r.handlers {
		var since int64
		if age, ok := ages[h.Name]; ok {
			since = now.Add(-age).UnixNano()
		}
		h.oldest.Store(since)
	}
	return nil
}

// oldestAge grows between two queries. 0: there is nothing to be done.
func (h *logHandler) oldestAge() time.Duration {
	since := h.oldest.Load()
	if since == 0 {
		return 0
	}
	return time.Since(time.Unix(0, since))
}
