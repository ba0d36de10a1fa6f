package declaration

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs"
)

const (
	// What undeclared names hold back is read for the first time this long after the declaration, when a takeover has
	// caught up, then this often, which reads what a handler has not finished of the log, and logged this often.
	firstHeldBack = 15 * time.Second
	heldBackEvery = 10 * time.Minute
	heldBackLines = time.Hour
	heldBackTime  = time.Minute // for one read

	selectHeldBack = `select kind, "group", name, coalesce(topic, ''), since, rows, bytes, or_more,
			deliveries, remedy
		from pgsolo.held_back where "group" = $1 or kind = 'election' order by kind, name, topic`
)

// Report shows what undeclared names hold back, and logs it, until ctx is done, which also ends a read under way. It is
// worth no more than that: what goes wrong is left to the loops that it stops.
func (d Declaration) Report(ctx context.Context, show func([]jobs.HeldBack)) {
	timer := time.NewTimer(d.ReportAfter)
	defer timer.Stop()
	var logged time.Time
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		held, err := d.heldBack(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			show(held)
		case !failing:
			d.Logger.Warn("what undeclared names hold back is not known, and neither shown nor logged", "view",
				d.Group.DB.Place("pgsolo.held_back"), "next_try_in", heldBackEvery, "error", err)
		}
		failing = err != nil
		if len(held) > 0 && time.Since(logged) >= heldBackLines {
			logged = time.Now()
			for _, h := range held {
				d.Logger.Warn("no leader declares this any more, and it is held until the grace is over, "+
					"or it is forgotten", "kind", h.Kind, "name", h.Name, "topic", h.Topic, "since", h.Since,
					"rows", h.Rows, "or_more", h.OrMore, "bytes", h.Bytes,
					"deliveries", h.Deliveries, "forget_it_with", h.Remedy)
			}
		}
		timer.Reset(heldBackEvery)
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
		return h, row.Scan(&h.Kind, &h.Group, &h.Name, &h.Topic, &h.Since, &h.Rows, &h.Bytes, &h.OrMore,
			&h.Deliveries, &h.Remedy)
	})
	if err != nil {
		return nil, fmt.Errorf("read what is held back: %w", err)
	}
	return held, nil
}
