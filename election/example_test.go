package election_test

import (
	"context"
	"log"
	"os"
	"os/signal"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/election"
)

// A program of which one replica at a time works. Migrate is for a release step; that it is called by every replica at
// once does no harm.
func Example() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	conn, err := pgx.Connect(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	if err := election.Migrate(ctx, conn, election.DefaultSchema); err != nil {
		log.Fatal(err)
	}
	conn.Close(ctx)

	elector, err := election.New(election.Options{Config: conn.Config(), Name: "payroll"})
	if err != nil {
		log.Fatal(err)
	}
	err = elector.Run(ctx, func(ctx context.Context, term election.Term) error {
		log.Println("leading, term", term.Number)
		<-ctx.Done() // work until then
		return nil
	})
	if err != nil {
		log.Fatal(err) // election.ErrLost too: end the process, and let it be started again
	}
}
