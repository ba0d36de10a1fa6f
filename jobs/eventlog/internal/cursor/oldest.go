package cursor

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs/internal/loop"
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

// readEvery is how often the leader reads the age of the oldest event that each handler is not done with.
const readEvery = 5 * time.Second

// Oldest keeps since when the oldest event waits that each handler is not done with. It may be used by any goroutine.
type Oldest struct {
	DB     pg.DB
	Logger hclog.Logger

	since atomic.Pointer[map[string]time.Time] // handlers that are done with all are missing
}

// Watch reads it until nothing new may begin. It is worth no more than that: what goes wrong is left to the loops that
// it stops.
func (o *Oldest) Watch(ctx context.Context, lead *loop.Leadership, handlers []string) {
	o.since.Store(nil)
	lead.Every(readEvery, func() {
		if err := pg.Try(ctx, func(ctx context.Context) error { return o.Read(ctx, handlers) }); err != nil {
			o.Logger.Debug("age of the oldest event is not known", "error", err)
		}
	})
	o.since.Store(nil)
}

// Read reads it now.
func (o *Oldest) Read(ctx context.Context, handlers []string) error {
	ages, err := oldest(ctx, o.DB, handlers)
	if err != nil {
		return err
	}
	now, since := time.Now(), map[string]time.Time{}
	for handler, age := range ages {
		since[handler] = now.Add(-age)
	}
	o.since.Store(&since)
	return nil
}

// Age grows between two reads. 0: there is nothing to be done.
func (o *Oldest) Age(handler string) time.Duration {
	if all := o.since.Load(); all != nil {
		if since, ok := (*all)[handler]; ok {
			return time.Since(since)
		}
	}
	return 0
}

func oldest(ctx context.Context, db pg.DB, handlers []string) (map[string]time.Duration, error) {
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
