package jobs_test

import (
	"context"
	"log"
	"os"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/cron"
	"github.com/pgsolo/pgsolo/jobs/eventlog"
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
	runner, err := eventlog.New(eventlog.Options{
		Pool: pool,
		Handlers: []eventlog.Handler{{
			Name: "receipt", Topic: "orders",
			Handle: eventlog.JSON(func(_ context.Context, event eventlog.Event, order order) error {
				log.Println(event.IdempotencyKey(), order.Amount)
				return nil
			}),
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	scheduler, err := cron.New(cron.Options{
		Pool: pool,
		Jobs: []cron.Job{{
			Name: "purge", Schedules: []string{"0 3 * * *"},
			Run: func(_ context.Context, tick cron.Tick) error {
				log.Println("purge what is older than", tick.ScheduledAt)
				return nil
			},
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := jobs.Run(ctx, jobs.Lead{Number: 1}, runner, scheduler); err != nil {
		log.Fatal(err)
	}
}
