package jobs

import (
	"context"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"
)

// How long a row is left alone on which somebody has a lock.
const asideFor = time.Second

// setAside has what is to be written to a run's row wait while somebody has a lock on that, as an update does which nobody commits.
// Nothing else waits for it. A run that was to be started still counts as one of its job.
func (t *cronTerm) setAside(r *cronRun) {
	t.aside, t.asideAt = append(t.aside, r), time.Now()
	t.locks.log(r.job.logger, hclog.Warn, "somebody has a lock on a row of cron_run: it is written when that has gone",
		"scheduled_at", r.at, "outcome", r.result.outcome)
	t.show(r.job)
}

// takeUp has what was set aside written with the next page, if it is time.
func (t *cronTerm) takeUp() {
	if t.untilTakeUp() > 0 {
		return
	}
	for _, r := range t.aside {
		if r.result.outcome == outcomeRunning {
			t.toStart = append(t.toStart, r)
		} else {
			r.job.unsettled++
			t.toSettle = append(t.toSettle, r)
		}
	}
	t.aside = nil
}

func (t *cronTerm) untilTakeUp() time.Duration {
	if len(t.aside) == 0 {
		return clockCheck
	}
	return max(0, asideFor-time.Since(t.asideAt))
}

const selectLocked = `select r.job, r.scheduled_at
	from unnest($2::text[], $3::timestamptz[], $4::int[], $5::text[]) as u (job, at, attempt, outcome)
		join pgsolo.cron_job j on j.job = u.job and j."group" = $1
		join pgsolo.cron_run r on r.job = u.job and r.scheduled_at = u.at and r.attempt = u.attempt and r.outcome <> u.outcome
			and r.outcome <> all ('{ok,failed,interrupted,replaced,skipped,missed}'::text[])`

// locked returns which of the runs that were not among the written ones have a row that could be written: somebody had a lock on it.
func (s cronStore) locked(ctx context.Context, runs []*cronRun, written map[runKey]bool) (map[runKey]bool, error) {
	var (
		jobs, outcomes []string
		ats            []time.Time
		attempts       []int // that of the row
	)
	for _, r := range runs {
		if written[r.key()] {
			continue
		}
		attempt := r.attempt
		if r.result.outcome == outcomeRunning {
			attempt--
		}
		jobs, ats, attempts, outcomes = append(jobs, r.job.Name), append(ats, r.at), append(attempts, attempt), append(outcomes, r.result.outcome)
	}
	if len(jobs) == 0 {
		return nil, nil
	}
	locked, batch := map[runKey]bool{}, &pgx.Batch{}
	batch.Queue(`select ` + planByKey)
	batch.Queue(inSchema(selectLocked, s.schema), s.group, jobs, ats, attempts, outcomes).
		Query(func(rows pgx.Rows) error { return scanKeys(rows, locked) })
	return locked, s.send(ctx, batch)
}
