package eventlog

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
)

// A stop at once rolls back and costs no attempt; a planned one commits what has succeeded and begins nothing more.
func TestStopOfATransaction(t *testing.T) {
	for name, test := range map[string]struct {
		stop func(l *leader)
		want []string // effects of the first leader
	}{
		"at once": {func(l *leader) { l.cancel(errors.New("leadership lost")) }, []string{}},
		"planned": {func(l *leader) { l.stop() }, []string{"1/1", "2/1"}},
	} {
		t.Run(name, func(t *testing.T) {
			pool := setupEffects(t)
			handling, release := make(chan struct{}), make(chan struct{})
			first := lead(t, pool, 1, Handler{
				Name: "h", Topic: "t", Batch: 5, HandleTx: func(ctx context.Context, tx pgx.Tx, e Event) error {
					if err := leaveEffect(ctx, tx, e); err != nil || e.ID != 2 {
						return err
					}
					close(handling)
					select {
					case <-ctx.Done():
						return ctx.Err()
					case <-release:
						return nil
					}
				},
			})
			emitNumbers(t, pool, 5)
			pgtest.Within(t, "the second event", handling)
			test.stop(first)
			pgtest.Eventually(t, "the queue to close", func() bool {
				return first.runner.handlers[0].waiting() == 0 // of three
			})
			close(release)
			if err := pgtest.Within(t, "the end", first.ended); err != nil {
				t.Error(err)
			}
			wantEffects(t, pool, test.want...)
			if n := pgtest.Value[int](t, pool, `select count(*) from pgsolo.delivery`); n != 0 {
				t.Errorf("%d attempts counted as failed", n)
			}
			lead(t, pool, 2, Handler{Name: "h", Topic: "t", Batch: 5, HandleTx: leaveEffect})
			settled(t, pool, 5)
			wantEffects(t, pool, "1/1", "2/1", "3/1", "4/1", "5/1")
		})
	}
}

func TestReplacedLeaderCannotCommit(t *testing.T) {
	pool := setupEffects(t)
	handling, release := make(chan struct{}), make(chan struct{})
	stale := lead(t, pool, 1,
		Handler{Name: "h", Topic: "t", HandleTx: func(ctx context.Context, tx pgx.Tx, e Event) error {
			close(handling)
			<-release
			return leaveEffect(ctx, tx, e)
		}})
	emitNumbers(t, pool, 1)
	pgtest.Within(t, "the stale leader to handle", handling)
	next := lead(t, pool, 2, Handler{Name: "h", Topic: "t", HandleTx: leaveEffect})
	settled(t, pool, 1)
	close(release)
	if err := pgtest.Within(t, "the stale leader to end", stale.ended); !errors.Is(err, jobs.ErrFenced) {
		t.Errorf("the stale leader ended with %v, want ErrFenced", err)
	}
	next.quit()
	wantEffects(t, pool, "1/1")
}

// Workers that wait for a connection of the pool wait as long as it takes, and begin when there is one.
func TestTransactionsWithFewConnections(t *testing.T) {
	pool := setupEffects(t)
	config := pool.Config()
	config.MaxConns = 6 // of which transactions have half
	few, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer few.Close()
	l := leadWith(t, 1, Options{Pool: few, Subscribe: jobstest.Listen(t, pool), Handlers: []Handler{
		{Name: "h", Topic: "t", Batch: 3, Concurrency: 8, HandleTx: leaveEffect},
	}})
	emitNumbers(t, pool, 200)
	settled(t, pool, 200)
	if n := pgtest.Value[int](t, pool, `select count(*) from effect`); n != 200 {
		t.Errorf("%d effects, want 200", n)
	}
	l.quit()
}

func TestStopWhileWaitingForAConnection(t *testing.T) {
	pool := setupEffects(t)
	config := pool.Config()
	config.MaxConns = 6 // of which transactions have half
	few, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer few.Close()
	handling, release := make(chan struct{}, 10), make(chan struct{})
	l := leadWith(t, 1, Options{Pool: few, Subscribe: jobstest.Listen(t, pool), Handlers: []Handler{{
		Name: "h", Topic: "t", Concurrency: 4, HandleTx: func(ctx context.Context, tx pgx.Tx, e Event) error {
			handling <- struct{}{}
			<-release
			return leaveEffect(ctx, tx, e)
		},
	}}})
	emitNumbers(t, pool, 10)
	for range 3 {
		pgtest.Within(t, "the workers with connections", handling)
	}
	pgtest.Eventually(t, "the fourth to have an event", func() bool { return l.runner.handlers[0].waiting() == 6 })
	l.stop()
	pgtest.Eventually(t, "the queue to close", func() bool { return l.runner.handlers[0].waiting() == 0 })
	close(release)
	if err := pgtest.Within(t, "the end", l.ended); err != nil {
		t.Error(err)
	}
	if n := len(effects(t, pool)); n != 3 {
		t.Errorf("%d effects, want those of the three that had begun", n)
	}
}

// A leader that has lost its leadership begins nothing, also after it has waited for a connection or its turn.
func TestNothingBeginsUnlessHeld(t *testing.T) {
	for name, handler := range map[string]Handler{
		"transactions": {HandleTx: func(context.Context, pgx.Tx, Event) error { t.Error("handled"); return nil }},
		"plain":        {Handle: func(context.Context, Event) error { t.Error("handled"); return nil }},
	} {
		t.Run(name, func(t *testing.T) {
			pool := jobstest.Pool(t)
			emitNumbers(t, pool, 5)
			handler.Name, handler.Topic, handler.Batch = "h", "t", 2
			if handler.Handle != nil {
				handler.Batch, handler.Rate = 0, jobs.Rate{Events: 1000}
			}
			var asked atomic.Int64
			first := handler.Handle != nil // is asked before its turn, too
			runner, err := New(Options{Pool: pool, Handlers: []Handler{handler}})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() {
				ended <- runner.Run(ctx, jobs.Lead{Number: 1, Held: func() bool { return asked.Add(1) == 1 && first }})
			}()
			pgtest.Eventually(t, "it to be asked", func() bool {
				return asked.Load() >= 2 || !first && asked.Load() == 1
			})
			cancel()
			if err := pgtest.Within(t, "the end", ended); err != nil {
				t.Error(err)
			}
		})
	}
}
