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
	// TryTimeout bounds one try of a step at the database, unless an earlier one was too short for it.
	TryTimeout = 5 * time.Second

	// maxTry is for a step that takes longer while the server answers. With answerTimeout and MaxBackoff it stays below
	// the time after which a loop counts as stuck.
	maxTry = 10 * time.Second

	// MinBackoff is the wait after the first failed try. Each further wait is twice as long, up to MaxBackoff.
	MinBackoff = 100 * time.Millisecond

	// MaxBackoff is the longest wait between two tries.
	MaxBackoff = 2 * time.Second

	giveUpAfter = 30 * time.Second // of silence the leader gives up
	sayAgain    = time.Hour        // about a step that is still refused
)

// Persist calls do until it succeeds, through a lost connection or a restart of the server, and through whatever the
// server answers: see class. what names the step in the log and in the error. do must be repeatable: a try may have
// been committed although its answer was lost.
//
// It returns at once where another try cannot help: ctx is done (then the error wraps ctx.Err()), a newer leader has
// taken over (ErrFenced), the try was the last (ErrStopping), or the tables are not those
// of this version. After 30 seconds without any answer it gives up
// with the last error. A try that takes too long is no silence if the server answers on another session meanwhile: then
// it waits for a lock, for a session of the pool, or for its replicas. It logs once per call and reason, and hourly.
func (db DB) Persist(ctx context.Context, logger hclog.Logger, what string, do func(context.Context) error) error {
	stopping, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	err := persist(stopping, logger, what, db.answers, func(ctx context.Context) error {
		err := db.NameGrants(ctx, do(ctx))
		if err != nil && db.Stopping != nil && db.Stopping() {
			stop(ErrStopping)
		}
		return err
	})
	if errors.Is(err, context.Canceled) && context.Cause(stopping) == ErrStopping {
		return fmt.Errorf("%s: %w", what, ErrStopping)
	}
	return err
}

// PersistAllowed is Persist of a step that the leader can do without: it returns at once where the role may not do it.
func (db DB) PersistAllowed(
	ctx context.Context, logger hclog.Logger, what string, do func(context.Context) error,
) error {
	var refused error
	err := db.Persist(ctx, logger, what, func(ctx context.Context) error {
		err := db.NameGrants(ctx, do(ctx))
		if refused = nil; IsNotAllowed(err) && !isRaised(err) {
			refused, err = fmt.Errorf("%s: %w", what, err), nil
		}
		return err
	})
	return errors.Join(refused, err)
}

func persist(
	ctx context.Context, logger hclog.Logger, what string, answers func(context.Context) bool,
	do func(context.Context) error,
) error {
	answered, try, logged := time.Now(), TryTimeout, map[string]time.Time{}
	for backoff := MinBackoff; ; backoff = min(2*backoff, MaxBackoff) {
		err := tryFor(ctx, try, do)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil && !errors.Is(err, ErrFenced) {
			return fmt.Errorf("%s: %w", what, ctx.Err())
		}
		c := classOf(err)
		if c.fate == fateSilent && errors.Is(err, context.DeadlineExceeded) && answers(ctx) {
			c, try = slow, min(2*try, maxTry)
		}
		switch c.fate {
		case fateEnd:
			return fmt.Errorf("%s: %w", what, err)
		case fateSilent:
			if time.Since(answered)+backoff > giveUpAfter {
				return fmt.Errorf("%s: gave up after %s: %w", what, giveUpAfter, err)
			}
		default:
			answered = time.Now()
		}
		if last, said := logged[c.key]; !said || time.Since(last) >= sayAgain {
			logged[c.key] = time.Now()
			c.log(logger, what, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, ctx.Err())
		case <-time.After(backoff):
		}
	}
}

// Try calls do once, for at most TryTimeout.
func Try(ctx context.Context, do func(ctx context.Context) error) error {
	return tryFor(ctx, TryTimeout, do)
}

func tryFor(ctx context.Context, timeout time.Duration, do func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return do(ctx)
}

// answers says whether the server answers anything, on a session of its own: those of the pool may all be in use.
func (db DB) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	conn, err := db.Connect(ctx)
	if err == nil {
		_ = conn.Close(ctx)
		return true
	}
	_, answered := errors.AsType[*pgconn.PgError](err)
	return answered
}

const answerTimeout = 3 * time.Second
