package eventlog

import (
	"context"
	"slices"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/declaration"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/retention"
	"github.com/pgsolo/pgsolo/jobs/internal/group"
	"github.com/pgsolo/pgsolo/jobs/internal/loop"
)

// declare writes to the database what this leader's configuration has. No handler waits for it: it begins when they
// have begun, and leaves them the first connections of the pool. Afterwards it reports what undeclared names hold back.
func (r *Runner) declare(ctx context.Context, lead *loop.Leadership) error {
	if !r.haveClaimed(lead) {
		return nil
	}
	d := declaration.Declaration{
		Group: r.group, Events: r.declared(), Topics: r.topics(), Logger: r.options.Logger.Named("topics"),
	}
	if err := d.Declare(ctx, lead.Term); err != nil {
		return err
	}
	d.Report(ctx, lead, func(held []jobs.HeldBack) { r.heldBack.Store(&held) })
	return nil
}

// declared is what the leader declares.
func (r *Runner) declared() group.Events {
	d := group.Events{Topics: map[string]int64{}, Handlers: map[string]group.Handler{}}
	for _, t := range r.options.Topics {
		d.Topics[t.Name] = t.Retention.Microseconds()
	}
	for _, h := range r.handlers {
		d.Handlers[h.Name] = group.Handler{Topic: h.Topic, Revision: h.Revision}
	}
	return d
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
		retention.New(r.group, r.declared(), r.options.Logger.Named("retention")).Run(lead.Starting)
	}
	return nil
}
