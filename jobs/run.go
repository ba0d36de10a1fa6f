package jobs

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"

	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// Engine is a part of what a leader runs: the handlers of events, or the cron jobs.
type Engine interface {
	// Run runs for one leadership, and must not be called again before it has returned. It ends with nil when Lead.Stopping is
	// closed, once what was under way has finished, or when ctx is done, once what was under way is cancelled; with ErrFenced when
	// a newer leader has taken over; and else with the reason why the leader cannot go on. Nothing that it started runs any more then.
	Run(ctx context.Context, lead Lead) error

	// Healthy returns what has not moved for too long, while Run runs. A leader that it names should give up.
	Healthy() error
}

// Run runs the engines for one leadership, and must not be called again before it has returned. The first error of one ends the others.
// It returns nil once all have ended because Lead.Stopping was closed or ctx is done, and ErrSchema, wrapped, when Migrate has
// not been called.
func Run(ctx context.Context, lead Lead, engines ...Engine) error {
	group, groupCtx := errgroup.WithContext(ctx)
	for _, engine := range engines {
		group.Go(func() error { return engine.Run(groupCtx, lead) })
	}
	err := group.Wait()
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.Code == pg.UndefinedTable {
		return fmt.Errorf("%w: call Migrate: %w", ErrSchema, err)
	}
	return err
}

// Healthy returns what the first of the engines that is not healthy says.
func Healthy(engines ...Engine) error {
	for _, engine := range engines {
		if err := engine.Healthy(); err != nil {
			return err
		}
	}
	return nil
}
