package jobs

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"

	"github.com/pgsolo/pgsolo/jobs/internal/group"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// Engine is a part of what a leader runs: the handlers of events, or the cron jobs.
type Engine interface {
	// Run runs for one leadership, and must not be called again before it has returned. It ends
	//
	//   - with nil when lead.Stopping is closed, once what was under way has finished;
	//   - with nil when ctx is done, once what was under way is cancelled;
	//   - with ErrFenced, wrapped, when a newer leader has taken over;
	//   - with another error when the leader cannot go on.
	//
	// Nothing that it started runs any more then.
	Run(ctx context.Context, lead Lead) error

	// Healthy returns an error that names what has not moved for 20 s while Run runs. Its leader should give up.
	Healthy() error
}

// Run runs the engines for one leadership, as Engine.Run says of one, and must not be called again before it has
// returned. Held and Over answer for the contexts of their handlers and jobs. The first error ends the other engines,
// and is returned: ErrSchema, wrapped, when Migrate has not been called.
func Run(ctx context.Context, lead Lead, engines ...Engine) error {
	sharing, leave := group.Share(WithLead(ctx, lead))
	running, runningCtx := errgroup.WithContext(sharing)
	for _, engine := range engines {
		running.Go(func() error { return engine.Run(runningCtx, lead) })
	}
	err := running.Wait()
	leave(err == nil && ctx.Err() == nil)
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.Code == pg.UndefinedTable {
		return fmt.Errorf("%w: call Migrate: %w", ErrSchema, err)
	}
	return err
}

// Process returns a context for the Runs of several elections in one process: they share the session with which each
// says that it leads. Without it, each Run has one of its own, and so has each database and schema.
func Process(ctx context.Context) context.Context { return group.Process(ctx) }

// Healthy returns the error of the first engine that has one.
func Healthy(engines ...Engine) error {
	for _, engine := range engines {
		if err := engine.Healthy(); err != nil {
			return err
		}
	}
	return nil
}
