package eventlog

import (
	"context"
	"time"

	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/cursor"
	"github.com/pgsolo/pgsolo/jobs/internal/loop"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// oldestEvery is how often the leader reads the age of the oldest event that each handler is not done with.
const oldestEvery = 5 * time.Second

// watchOldest keeps the ages for Stats. They are worth no more than that: what goes wrong is left to the loops that it
// stops.
func (r *Runner) watchOldest(ctx context.Context, lead *loop.Leadership) error {
	lead.Every(oldestEvery, func() {
		if err := pg.Try(ctx, r.readOldest); err != nil {
			r.options.Logger.Named("stats").Debug("age of the oldest event is not known", "error", err)
		}
	})
	return nil
}

func (r *Runner) readOldest(ctx context.Context) error {
	ages, err := cursor.Oldest(ctx, r.db, r.handlerNames())
	if err != nil {
		return err
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
	if since := h.oldest.Load(); since != 0 {
		return time.Since(time.Unix(0, since))
	}
	return 0
}
