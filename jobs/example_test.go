package jobs_test

import (
	"context"
	"log"
	"os"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/jobs"
)

// A leader that handles orders and runs a job every night. Who leads, and in which term, another package says. Without
// Options.Subscribe the log is read by polling.
func Example() {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()

	type order struct{ Amount int }
	runner, err := jobs.New(jobs.Options{
		Pool: pool,
		Handlers: []jobs.Handler{{
			Name: "receipt", Topic: "orders",
			Handle: jobs.JSON(func(_ context.Context, event jobs.Event, order order) error {
				log.Println(event.IdempotencyKey(), order.Amount)
				return nil
			}),
		}},
		Crons: []jobs.Cron{{
			Name: "purge", Schedules: []string{"0 3 * * *"},
			Run: func(_ context.Context, tick jobs.Tick) error {
				log.Println("purge what is older than", tick.ScheduledAt)
				return nil
			},
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := runner.Run(ctx, jobs.Lead{Term: 1}); err != nil {
		log.Fatal(err)
	}
}
