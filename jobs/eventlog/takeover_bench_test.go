package eventlog

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
)

// BenchmarkTakeover measures the way of a new leader to its first event, on the one session that it kept as a standby:
// as that was opened, and warmed up.
func BenchmarkTakeover(b *testing.B) {
	b.Run("cold", func(b *testing.B) { benchmarkTakeover(b, false) })
	b.Run("warm", func(b *testing.B) { benchmarkTakeover(b, true) })
}

func benchmarkTakeover(b *testing.B, warm bool) {
	own := jobstest.Pool(b)
	handler, handled := recorder("h", "t")
	for term := int64(1); b.Loop(); term++ {
		b.StopTimer()
		pool, err := pgxpool.NewWithConfig(b.Context(), own.Config())
		if err != nil {
			b.Fatal(err)
		}
		runner, err := New(Options{Pool: pool, Handlers: []Handler{handler}, Topics: []Topic{{Name: "*"}}})
		if err != nil {
			b.Fatal(err)
		}
		err = pool.AcquireFunc(b.Context(), func(conn *pgxpool.Conn) error {
			if !warm {
				return nil
			}
			return runner.WarmUp(b.Context(), conn.Conn())
		})
		if err != nil {
			b.Fatal(err)
		}
		jobstest.Emit(b, own, "t", `1`)
		stopping, ended := make(chan struct{}), make(chan error)
		b.StartTimer()
		go func() { ended <- runner.Run(context.Background(), jobs.Lead{Number: term, Stopping: stopping}) }()
		pgtest.Within(b, "the event", handled)
		b.StopTimer()
		close(stopping)
		if err := <-ended; err != nil {
			b.Fatal(err)
		}
		pool.Close()
		b.StartTimer()
	}
}
