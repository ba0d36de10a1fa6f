package jobs

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const backlog = 200_000

func fill(b *testing.B, pool *pgxpool.Pool) {
	b.Helper()
	if _, err := pool.Exec(b.Context(), `insert into pgsolo.event (topic, payload)
		select 't', jsonb_build_object('n', n) from generate_series(1, $1::int) n`, backlog); err != nil {
		b.Fatal(err)
	}
	if _, err := pool.Exec(b.Context(), `vacuum analyze pgsolo.event`); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkBacklog works off waiting events with a handler that does nothing, and compares that with the floor: a bare loop that
// reads 5,000 rows at a time by id and writes one row of progress per batch.
func BenchmarkBacklog(b *testing.B) {
	pool := setup(b)
	fill(b, pool)
	var floor, handled time.Duration
	for i := range b.N {
		began := time.Now()
		bareLoop(b, pool)
		floor += time.Since(began)

		if _, err := pool.Exec(b.Context(), `delete from pgsolo.cursor`); err != nil {
			b.Fatal(err)
		}
		var count atomic.Int64
		done := make(chan struct{})
		began = time.Now()
		l := lead(b, pool, int64(i+1), Handler{Name: "h", Topic: "t", Handle: func(context.Context, Event) error {
			if count.Add(1) == backlog {
				close(done)
			}
			return nil
		}})
		<-done
		handled += time.Since(began)
		l.quit()
	}
	b.ReportMetric(float64(b.N*backlog)/handled.Seconds(), "events/s")
	b.ReportMetric(float64(b.N*backlog)/floor.Seconds(), "floor/s")
	b.ReportMetric(floor.Seconds()/handled.Seconds(), "of-floor")
}

func bareLoop(b *testing.B, pool *pgxpool.Pool) {
	b.Helper()
	ctx := b.Context()
	for last, n := int64(0), 0; n < backlog; {
		rows, err := pool.Query(ctx, `select id, key, payload, headers, created_at from pgsolo.event where id > $1 order by id limit 5000`, last)
		if err != nil {
			b.Fatal(err)
		}
		var (
			key              *string
			payload, headers []byte
			created          time.Time
		)
		if _, err := pgx.ForEachRow(rows, []any{&last, &key, &payload, &headers, &created}, func() error { n++; return nil }); err != nil {
			b.Fatal(err)
		}
		if _, err := pool.Exec(ctx, `insert into pgsolo.cursor (handler, done) values ('floor', int8multirange(int8range(1, $1::bigint + 1)))
			on conflict (handler) do update set done = excluded.done`, last); err != nil {
			b.Fatal(err)
		}
	}
}
