package eventlog

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
)

const insertEffect = `insert into effect values ($1)`

// BenchmarkTransactions works off waiting events with a handler that inserts one row for each, and compares that with
// the floor: a bare loop that inserts as many rows with as many in one transaction, each of which writes one row of
// progress, and without savepoints.
func BenchmarkTransactions(b *testing.B) {
	for _, batch := range []int{1, 100} {
		b.Run(fmt.Sprint("batch=", batch), func(b *testing.B) { benchmarkTransactions(b, batch) })
	}
}

func benchmarkTransactions(b *testing.B, batch int) {
	const events = 10_000
	pool := jobstest.Pool(b)
	jobstest.MustExec(b, pool, `create table effect (event_id bigint)`)
	fill(b, pool, events)
	var floor, took time.Duration
	for term := range int64(b.N) {
		jobstest.MustExec(b, pool, `delete from pgsolo.cursor`)
		began := time.Now()
		bareTransactions(b, pool, events, batch)
		floor += time.Since(began)

		jobstest.MustExec(b, pool, `delete from pgsolo.cursor`)
		var count atomic.Int64
		all := make(chan struct{})
		began = time.Now()
		l := lead(b, pool, term+1,
			Handler{Name: "h", Topic: "t", Batch: batch, HandleTx: func(ctx context.Context, tx pgx.Tx, e Event) error {
				if count.Add(1) == events {
					close(all)
				}
				_, err := tx.Exec(ctx, insertEffect, e.ID)
				return err
			}})
		<-all
		took += time.Since(began)
		l.quit()
	}
	n := float64(b.N) * events
	b.ReportMetric(n/took.Seconds(), "events/s")
	b.ReportMetric(n/floor.Seconds(), "floor/s")
	b.ReportMetric(floor.Seconds()/took.Seconds(), "of-floor")
}

func bareTransactions(b *testing.B, pool *pgxpool.Pool, events, batch int) {
	b.Helper()
	jobstest.MustExec(b, pool, `insert into pgsolo.cursor (handler) values ('floor')`)
	for id := 0; id < events; id += batch {
		if err := pgx.BeginFunc(b.Context(), pool, func(tx pgx.Tx) error {
			for i := range batch {
				if _, err := tx.Exec(b.Context(), insertEffect, id+i+1); err != nil {
					return err
				}
			}
			_, err := tx.Exec(b.Context(),
				`update pgsolo.cursor set done = done + int8multirange(int8range($1, $2)) where handler = 'floor'`,
				id+1, id+batch+1)
			return err
		}); err != nil {
			b.Fatal(err)
		}
	}
}
