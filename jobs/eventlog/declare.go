package eventlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/retention"
	"github.com/pgsolo/pgsolo/jobs/internal/loop"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

const (
	// The doorbell's row has the term of the group's latest leader. It is locked until the topics are replaced, so that
	// a stale leader does not replace them again.
	replaceTopics = `with fence as (
			insert into pgsolo.doorbell as d ("group", armed, term) values ($1, false, $3)
			on conflict ("group") do update set term = excluded.term where d.term <= excluded.term
			returning "group"
		)
		select pgsolo.know("group", $2) from fence`

	// The handlers of this leader mark their own cursors when they claim them. The others of the group get its term all
	// the same, so that a stale leader, which may still have them, cannot claim them. A cursor without a topic was last
	// claimed by an older version, and may be another group's.
	markOthers = `update pgsolo.cursor set configured = false, term = $3
		where "group" = $1 and topic <> '' and handler <> all ($2) and term <= $3 and (configured or term < $3)`
)

// declare writes to the database what this leader's configuration has: the topics that producers may use, and that it
// has no handlers of the group but its own. No handler waits for it: it begins when they have begun, and leaves them
// the first connections of the pool.
func (r *Runner) declare(ctx context.Context, lead *loop.Leadership) error {
	if !r.haveClaimed(lead) {
		return nil
	}
	if err := r.declareTopics(ctx, lead.Term); err != nil {
		return err
	}
	return r.markOtherCursors(ctx, lead.Term)
}

// declareTopics makes the topics of the configuration known. A role that may not do that has its leader go on without.
func (r *Runner) declareTopics(ctx context.Context, term int64) error {
	logger := r.options.Logger.Named("topics")
	err := pg.Persist(ctx, logger, "make topics known", func(ctx context.Context) error {
		var changed bool
		err := r.db.QueryRow(ctx, replaceTopics, r.options.Group, r.topics(), term).Scan(&changed)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return fmt.Errorf("topics: %w", jobs.ErrFenced)
		case err == nil && changed:
			logger.Info("the event log now takes other topics than before", "topics_of_group", r.topics())
		}
		return err
	})
	if pg.IsNotAllowed(err) {
		logger.Warn("the role may not say which topics are known, "+
			"so that the event log goes on refusing those that it refuses now: grant execute on the function",
			"function", r.db.Place("pgsolo.know(text, text[])"), "error", err)
		return nil
	}
	return err
}

// markOtherCursors takes the cursors of the group's other handlers out of the configuration.
func (r *Runner) markOtherCursors(ctx context.Context, term int64) error {
	names := r.handlerNames()
	err := pg.Persist(ctx, r.options.Logger.Named("topics"), "mark cursors", func(ctx context.Context) error {
		_, err := r.db.Exec(ctx, markOthers, r.options.Group, names, term)
		return err
	})
	if pg.IsNotAllowed(err) && len(names) == 0 { // nor does it need to, until it has handlers
		return nil
	}
	return err
}

// handlerNames are those of the handlers of topics.
func (r *Runner) handlerNames() []string {
	names := make([]string, 0, len(r.handlers))
	for _, h := range r.handlers {
		names = append(names, h.Name)
	}
	return names
}

// haveClaimed waits until every cursor is this term's. It returns false if the leadership stops before that.
func (r *Runner) haveClaimed(lead *loop.Leadership) bool {
	for _, h := range r.handlers {
		select {
		case <-h.claimed:
		case <-lead.Starting.Done():
			return false
		}
	}
	return true
}

// topics are those that the configuration names; nil stands for any.
func (r *Runner) topics() []string {
	names := make([]string, 0, len(r.options.Topics)+len(r.logs))
	for _, t := range r.options.Topics {
		if t.Name == retention.AnyTopic {
			return nil
		}
		names = append(names, t.Name)
	}
	for topic := range r.logs {
		names = append(names, topic)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// trim runs the retention of the topics, once the cursors that hold it back are marked. Whatever becomes of it, the
// leader goes on.
func (r *Runner) trim(_ context.Context, lead *loop.Leadership) error {
	if r.haveClaimed(lead) {
		kept := map[string]time.Duration{}
		for _, t := range r.options.Topics {
			kept[t.Name] = t.Retention
		}
		retention.New(r.db, r.options.Group, kept, r.options.Logger.Named("retention")).Run(lead.Starting)
	}
	return nil
}
