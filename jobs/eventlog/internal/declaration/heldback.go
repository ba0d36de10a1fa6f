package declaration

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/loop"
)

const (
	// What undeclared names hold back is read this often, which reads what a handler has not finished of the log, and
	// logged this often.
	heldBackEvery = 10 * time.Minute
	heldBackLines = time.Hour
	heldBackTime  = time.Minute // for one read

	selectHeldBack = `select kind, "group", name, coalesce(topic, ''), since, rows, bytes, remedy from pgsolo.held_back
		where "group" = $1 or kind = 'election' order by kind, name, topic`
)

// Report shows what undeclared names hold back, and logs it, until the leadership stops. It is worth no more than that:
// what goes wrong is left to the loops that it stops.
func (d Declaration) Report(ctx context.Context, lead *loop.Leadership, show func([]jobs.HeldBack)) {
	ticker := time.NewTicker(heldBackEvery)
	defer ticker.Stop()
	var logged time.Time
	for {
		held, err := d.heldBack(ctx)
		if err != nil {
			d.Logger.Debug("what undeclared names hold back is not known", "error", err)
		} else {
			show(held)
		}
		if time.Since(logged) >= heldBackLines {
			logged = time.Now()
			for _, h := range held {
				d.Logger.Warn("no leader declares this any more, and it is held until the grace is over, "+
					"or it is forgotten", "kind", h.Kind, "name", h.Name, "topic", h.Topic, "since", h.Since,
					"rows", h.Rows, "bytes", h.Bytes, "forget_it_with", h.Remedy)
			}
		}
		select {
		case <-lead.Starting.Done():
			return
		case <-ticker.C:
		}
	}
}

func (d Declaration) heldBack(ctx context.Context) ([]jobs.HeldBack, error) {
	ctx, cancel := context.WithTimeout(ctx, heldBackTime)
	defer cancel()
	rows, err := d.Group.DB.Query(ctx, selectHeldBack, d.Group.Name)
	if err != nil {
		return nil, fmt.Errorf("read what is held back: %w", err)
	}
	held, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (h jobs.HeldBack, err error) {
		return h, row.Scan(&h.Kind, &h.Group, &h.Name, &h.Topic, &h.Since, &h.Rows, &h.Bytes, &h.Remedy)
	})
	if err != nil {
		return nil, fmt.Errorf("read what is held back: %w", err)
	}
	return held, nil
}
