package cron

import (
	"context"

	"github.com/pgsolo/pgsolo/jobs/internal/group"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// declare writes to the database what this leader has, and logs in one line what differs from the leader before. It is
// worth no more than that: what goes wrong is left to the loop.
func (s *Scheduler) declare(ctx context.Context, term int64) {
	var (
		previous group.Jobs
		differs  bool
	)
	err := pg.Try(ctx, func(ctx context.Context) (err error) {
		differs, err = s.group.Declare(ctx, term, s.declared, &previous)
		return err
	})
	if err != nil {
		s.logger.Debug("the jobs are not declared", "error", err)
	}
	if err != nil || !differs {
		return
	}
	added, gone, changed := group.Differences(previous.Definitions(), s.declares().Definitions())
	if len(added)+len(gone)+len(changed) > 0 {
		s.logger.Info("the configuration differs from that of the leader before", "new", group.Listed(added),
			"gone", group.Listed(gone), "changed", group.Listed(changed))
	}
}

// declares is what the leader declares.
func (s *Scheduler) declares() group.Jobs {
	d := group.Jobs{Jobs: make(map[string]group.Job, len(s.jobs))}
	for _, j := range s.jobs {
		d.Jobs[j.Name] = group.Job{Schedule: j.schedules.String(), Revision: j.Revision}
	}
	return d
}

// Lacks returns what this scheduler has and the leader of a term has not, each by its kind and name. known is false
// while that leader has not declared what it has.
func (s *Scheduler) Lacks(ctx context.Context, term int64) (names []string, known bool, err error) {
	var leads group.Jobs
	if known, err = s.group.Declared(ctx, term, group.Cron, &leads); known {
		names, _, _ = group.Differences(leads.Definitions(), s.declares().Definitions())
	}
	return group.Listed(names), known, err
}
