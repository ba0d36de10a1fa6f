package eventlog

import (
	"context"
	"time"

	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/cursor"
	"github.com/pgsolo/pgsolo/jobs/internal/loop"
)

// watchOldest keeps the ages for Stats.
func (r *Runner) watchOldest(ctx context.Context, lead *loop.Leadership) error {
	cursor.WatchOldest(ctx, lead, r.options.Logger.Named("stats"), r.readOldest)
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
	since := h.oldest.Load()
	if since == 0 {
		return 0
	}
	return time.Since(time.Unix(0, since))
}
