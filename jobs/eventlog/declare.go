package eventlog

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/retention"
	"github.com/pgsolo/pgsolo/jobs/internal/group"
	"github.com/pgsolo/pgsolo/jobs/internal/idset"
	"github.com/pgsolo/pgsolo/jobs/internal/loop"
)

// declare writes to the database what this leader's configuration has, and closes declared. No handler waits for it: it
// begins when they have begun, and leaves them the first connections of the pool. Afterwards it reports what undeclared
// names hold back. A handover waits for neither: both are cancelled when nothing new may begin, and what was not
// declared is the next leader's to declare.
func (r *Runner) declare(lead *loop.Leadership, declared chan<- struct{}) error {
	if !r.haveClaimed(lead) {
		return nil
	}
	r.awaitReads(lead)
	done := map[string]idset.Set{}
	for _, h := range r.handlers {
		if h.doneBefore != nil {
			done[h.Name] = h.doneBefore
		}
	}
	err := r.declaration.Declare(lead.Starting, lead.Term, done)
	if lead.Starting.Err() != nil && !errors.Is(err, jobs.ErrFenced) {
		return nil
	}
	if err != nil {
		return err
	}
	close(declared)
	r.declaration.Report(lead.Starting, func(held []jobs.HeldBack) { r.heldBack.Store(&held) })
	return nil
}

// declares is what the leader declares.
func (o Options) declares(handlers []*logHandler) group.Events {
	d := group.Events{Topics: map[string]int64{}, Handlers: map[string]group.Handler{}}
	for _, t := range o.Topics {
		d.AddTopic(t.Name, t.Retention, t.MaxPayload)
	}
	for _, h := range handlers {
		d.Handlers[h.Name] = group.Handler{Topic: h.Topic, Revision: h.Revision}
	}
	return d
}

// handlerNames are those of the handlers of topics.
func (r *Runner) handlerNames() []string {
	return slices.Collect(maps.Keys(r.declaration.Events.Handlers))
}

// Lacks returns what this runner has and the leader of a term has not, each by its kind and name. known is false while
// that leader has not declared what it has.
func (r *Runner) Lacks(ctx context.Context, term int64) (names []string, known bool, err error) {
	return r.declaration.Lacks(ctx, term)
}

// declareTopics makes the topics known, once the rest is declared. Nothing waits for it, however long that is refused.
func (r *Runner) declareTopics(lead *loop.Leadership, declared <-chan struct{}) error {
	select {
	case <-declared:
	case <-lead.Starting.Done():
		return nil
	}
	err := r.declaration.DeclareTopics(lead.Starting, lead.Term)
	if lead.Starting.Err() != nil && !errors.Is(err, jobs.ErrFenced) {
		return nil
	}
	return err
}

// trim runs the retention of the topics, once the cursors that hold it back are marked: a handler that comes back after
// the grace holds nothing back before it is declared. Whatever becomes of it, the leader goes on.
func (r *Runner) trim(lead *loop.Leadership, declared <-chan struct{}) {
	select {
	case <-declared:
		retention.New(r.group, r.declaration.Events, r.options.Logger.Named("retention")).Run(lead.Starting)
	case <-lead.Starting.Done():
	}
}
