package bench

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/replica"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/cron"
	"github.com/pgsolo/pgsolo/jobs/eventlog"
	"github.com/pgsolo/pgsolo/listener"
)

// work is what a leader runs.
type work struct {
	group    string
	handlers []eventlog.Handler
	crons    []cron.Job
}

// leader is what leads, with a pool and a LISTEN session of its own.
type leader struct {
	events   *eventlog.Runner
	crons    *cron.Scheduler
	pool     *pgxpool.Pool
	listener *listening
	stopping chan struct{} // closed by close
	ended    chan struct{} // closed when Run has returned err
	err      error
}

// newLeader makes a leader that has everything it needs beside its work. The caller closes it, whether or not it has
// begun.
func (r *run) newLeader(ctx context.Context, of work) (*leader, error) {
	config, err := pgxpool.ParseConfig(r.url)
	if err != nil {
		return nil, err
	}
	sessions(config.ConnConfig)
	config.MaxConns = replica.PoolSize(len(of.handlers), len(of.crons), 0)
	l := &leader{stopping: make(chan struct{})}
	if l.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, err
	}
	if l.listener, err = r.listen(ctx, listener.Options{Buffer: replica.MessageBuffer}); err != nil {
		l.pool.Close()
		return nil, err
	}
	subscribe := replica.Subscribe(l.listener.Listener)
	l.events, err = eventlog.New(eventlog.Options{
		Pool: l.pool, Group: of.group, Handlers: of.handlers, Subscribe: subscribe,
	})
	if err != nil {
		return nil, errors.Join(err, l.close())
	}
	l.crons, err = cron.New(cron.Options{Pool: l.pool, Group: of.group, Jobs: of.crons, Subscribe: subscribe})
	if err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

// lead begins a term.
func (l *leader) lead(ctx context.Context, term int64) {
	l.ended = make(chan struct{})
	go func() {
		defer close(l.ended)
		l.err = jobs.Run(ctx, jobs.Lead{Number: term, Stopping: l.stopping}, l.events, l.crons)
	}()
}

// broken says why it leads no more.
func (l *leader) broken() error {
	select {
	case <-l.ended:
		return fmt.Errorf("the leader has ended: %w", l.err)
	default:
		return nil
	}
}

// awaitIdle waits until producers are to ring, which is so while nothing comes.
func (l *leader) awaitIdle(ctx context.Context) error {
	return await(ctx, "the leader to be idle", func(context.Context) (bool, error) {
		return l.events.Stats().Log.Ring == eventlog.RingArmed, l.broken()
	})
}

// close ends the term as planned, and what the runner has. Messages that the session dropped void no figure: the runner
// reads the log again.
func (l *leader) close() (err error) {
	close(l.stopping)
	if l.ended != nil {
		<-l.ended
		err = l.err
	}
	l.pool.Close()
	l.listener.stop()
	return errors.Join(err, <-l.listener.result)
}

// newIdleLeader is a leader whose one handler stops the time, when it is idle. The caller closes it.
func (e *events) newIdleLeader(ctx context.Context, name string, w *stopwatch) (*leader, error) {
	handle := func(_ context.Context, event eventlog.Event) error { return w.receive(event.Payload) }
	handler := eventlog.Handler{Name: name, Topic: eventsTopic, Handle: handle}
	l, err := e.newLeader(ctx, work{group: eventsGroup, handlers: []eventlog.Handler{handler}})
	if err != nil {
		return nil, err
	}
	e.term++
	l.lead(ctx, e.term)
	if err := l.awaitIdle(ctx); err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}
