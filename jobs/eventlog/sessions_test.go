package eventlog

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// Transactions that last leave the other handlers connections to read and to write with, however few there are.
func TestTransactionsLeaveConnections(t *testing.T) {
	config := jobstest.Pool(t).Config()
	config.MaxConns = 4
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	release, begun := make(chan struct{}), make(chan string, 40)
	plain, handled := recorder("plain", "t")
	handlers := []Handler{plain}
	for n := range 20 {
		handlers = append(handlers, Handler{Name: fmt.Sprint("tx", n), Topic: "t",
			HandleTx: func(ctx context.Context, _ pgx.Tx, e Event) error {
				begun <- e.Handler
				select {
				case <-release:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			}})
	}
	l := lead(t, pool, 1, handlers...)
	own := jobstest.OwnSession(t, pool)
	jobstest.Emit(t, own, "t", `1`)
	for range 2 {
		pgtest.Within(t, "a transaction", begun)
	}
	pgtest.Within(t, "the first event", handled)
	jobstest.Emit(t, own, "t", `2`)
	pgtest.Within(t, "the second event", handled)
	pgtest.Eventually(t, "progress", func() bool {
		return pgtest.Value[bool](t, own, `select done @> 2::bigint from pgsolo.cursor where handler = 'plain'`)
	})
	close(release)
	pgtest.Eventually(t, "the transactions", func() bool {
		return pgtest.Value[int](t, own, `select count(*) from pgsolo.cursor where done @> 2::bigint`) == 21
	})
	l.quit()
}
