package eventlog

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/logread"
	"github.com/pgsolo/pgsolo/jobs/internal/loop"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

func TestMain(m *testing.M) {
	os.Exit(pgtest.Main(m, pgtest.Migrating(jobs.DefaultSchema, jobs.Migrate)))
}

// leader is a Runner at work in one term.
type leader struct {
	t      testing.TB
	runner *Runner
	stop   func()                  // planned: drain
	cancel context.CancelCauseFunc // at once
	ended  chan error              // receives what Run returned
}

// lead runs handlers in a term, with a LISTEN session of their own, until the test ends. Events of any topic are
// accepted.
func lead(t testing.TB, pool *pgxpool.Pool, term int64, handlers ...Handler) *leader {
	t.Helper()
	return leadWith(t, term,
		Options{Pool: pool, Handlers: handlers, Topics: []Topic{{Name: "*"}}, Subscribe: jobstest.Listen(t, pool)})
}

// leadWith runs what the options say in a term, until the test ends.
func leadWith(t testing.TB, term int64, options Options) *leader {
	t.Helper()
	runner, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	return leadRunner(t, term, runner)
}

// leadRunner runs it in a term, until the test ends.
func leadRunner(t testing.TB, term int64, runner *Runner) *leader {
	runner.declaration.ReportAfter = 0
	ctx, cancel := context.WithCancelCause(context.Background())
	stopping := make(chan struct{})
	l := &leader{t: t, runner: runner, cancel: cancel, stop: sync.OnceFunc(func() { close(stopping) }),
		ended: make(chan error, 2)}
	var running sync.WaitGroup
	running.Go(func() { l.ended <- runner.Run(ctx, jobs.Lead{Number: term, Stopping: stopping}) })
	t.Cleanup(func() {
		cancel(nil)
		running.Wait()
	})
	return l
}

// leadership is one that lasts until the test ends.
func leadership(t testing.TB, term int64) *loop.Leadership {
	t.Helper()
	lead, end := loop.Lead(t.Context(), term, "", nil, nil)
	t.Cleanup(end)
	return lead
}

// idleConsumer returns the consumer of a handler of topic t in term 1, whose loop does not run. pool may be nil.
func idleConsumer(t testing.TB, h Handler, pool *pgxpool.Pool) *consumer {
	t.Helper()
	db, reader := pg.DB{Pool: pool, Schema: jobs.DefaultSchema}, logread.Reader{}
	if pool != nil {
		reader = logread.NewReader(db, "t")
	}
	handler := newLogHandler(h, db, "main", logread.NewLog(reader, new(atomic.Int64)), hclog.NewNullLogger())
	handler.begin(leadership(t, 1), loop.NewTurns(), nil)
	return handler.consumer
}

// quit stops the leader as planned and waits for its end.
func (l *leader) quit() {
	l.t.Helper()
	l.stop()
	if err := pgtest.Within(l.t, "leader to end", l.ended); err != nil {
		l.t.Fatalf("planned stop: %v", err)
	}
}

// die stops the leader at once and waits for its end.
func (l *leader) die() {
	l.t.Helper()
	l.cancel(errors.New("leadership lost"))
	pgtest.Within(l.t, "leader to end", l.ended)
}

// recorder is a handler that reports each event.
func recorder(name, topic string) (Handler, chan Event) {
	events := make(chan Event, 10_000)
	return Handler{Name: name, Topic: topic, Handle: func(_ context.Context, e Event) error {
		events <- e
		return nil
	}}, events
}
