package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// produce inserts an event at a time.
func (d *demo) produce(ctx context.Context, conn *pgx.Conn, fail func(error)) {
	const insert = `insert into pgsolo.event (topic, payload) values ('orders', jsonb_build_object('n', $1::int))
		returning id`
	ticker := time.NewTicker(insertEvery)
	defer ticker.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		var id int64
		// An insert under way is finished: an event that may or may not be there could not be judged.
		if err := conn.QueryRow(context.WithoutCancel(ctx), insert, n).Scan(&id); err != nil {
			fail(fmt.Errorf("insert event: %w", err))
			return
		}
		d.mu.Lock()
		d.inserted = append(d.inserted, id)
		d.mu.Unlock()
	}
}

func (d *demo) events() []int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.inserted
}
