package pg

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// TryTimeout bounds one try of a step at the database.
	TryTimeout = 5 * time.Second

	// MinBackoff is the wait after the first failed try. Each further wait is twice as long, up to MaxBackoff.
	MinBackoff = 100 * time.Millisecond

	// MaxBackoff is the longest wait between two tries.
	MaxBackoff = 2 * time.Second

	giveUpAfter = 30 * time.Second // how long a step may fail before the leader gives up

	silent       = "database does not answer"
	refusing     = "the database refused" // and may do it another time
	hidden       = "row security hides rows of pgsolo's tables from this role"
	hiddenRemedy = "alter table … disable row level security, or alter role … bypassrls"
)

// Persist calls do until it succeeds, through a lost connection or a restart of the server. what names the step in the
// log and in the error. do must be repeatable: a try may have been committed although its answer was lost.
//
// It returns at once where another try cannot help: ctx is done (then the error wraps ctx.Err()), a newer leader has
// taken over (ErrFenced), or the statement itself is refused. After 30 seconds it gives up with the last error, but not
// where row security is in the way: that is an answer, which a person can change. It logs once per call and reason.
func Persist(ctx context.Context, logger hclog.Logger, what string, do func(ctx context.Context) error) error {
	began, logged := time.Now(), map[string]bool{}
	for backoff := MinBackoff; ; backoff = min(2*backoff, MaxBackoff) {
		err := Try(ctx, do)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, ErrFenced), isRefused(err):
			return fmt.Errorf("%s: %w", what, err)
		case ctx.Err() != nil:
			return fmt.Errorf("%s: %w", what, ctx.Err())
		case IsRowSecurity(err):
			if !logged[hidden] {
				logged[hidden] = true
				logger.Error(hidden+", trying again", "step", what, "error", err, "remedy", hiddenRemedy)
			}
			began = time.Now()
		case time.Since(began)+backoff > giveUpAfter:
			return fmt.Errorf("%s: gave up after %s: %w", what, giveUpAfter, err)
		case !logged[reason(err)]:
			logged[reason(err)] = true
			logger.Warn(reason(err)+", trying again", "step", what, "for_at_most", giveUpAfter, "error", err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, ctx.Err())
		case <-time.After(backoff):
		}
	}
}

// reason tells an answer of the server, as to a deadlock or to too many connections, from silence.
func reason(err error) string {
	if _, answered := errors.AsType[*pgconn.PgError](err); answered {
		return refusing
	}
	return silent
}

// Try calls do once, for at most TryTimeout.
func Try(ctx context.Context, do func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, TryTimeout)
	defer cancel()
	return do(ctx)
}

// isRefused tells an error that lies in the statement or the schema from one that passes: SQLSTATE classes 22 (data),
// 23 (constraint) and 42 (syntax, missing table, missing privilege).
func isRefused(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || len(pgErr.Code) != 5 || IsRowSecurity(err) {
		return false
	}
	switch pgErr.Code[:2] {
	case "22", "23", "42":
		return true
	}
	return false
}
