package rows

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// What is decided on of each job stands beside the history, from which operators may delete what they like: in
// cron_decision, one row for each transaction that made rows of ticks, and folded together in cron_position, one row
// for each job. To update the rows of 10,000 jobs with their ticks would cost those half as much again.
//
// Nothing but a leader locks these rows. A claim reads both tables in one statement, so that a fold beside it is seen
// whole or not at all. Folds and claims write positions in the order of their jobs, so that no two of them wait for
// each other: a leader that was replaced may still fold while its successor does. Decisions are deleted first, and a
// fold that finds one deleted by another leaves it out.

// LongStep is the longest step of the clock that is taken for time that has passed. A position that is later than now
// by more is from a clock that was ahead, and gives way to any other.
const LongStep = 10 * time.Minute

var (
	// The position of a job: the latest one up to $1, or the latest one of those after it, if there are no others.
	latestPosition = `coalesce(max(d.at) filter (where d.at <= $1::timestamptz), max(d.at))`

	// The positions of all jobs, those of other groups too: a claim may take one of them. Not joined with the jobs,
	// since the planner takes what was folded or decided lately for next to nothing.
	selectPositions = `select d.job, ` + latestPosition + `
		from (
			select job, ` + finite(`decided_to`) + ` as at from pgsolo.cron_position
			union all
			select u.job, u.at from pgsolo.cron_decision, unnest(jobs, ats) as u (job, at)
		) d group by d.job`

	selectGone = `select u.job from unnest($1::text[], $2::timestamptz[]) as u (job, at)
		where not exists (select from pgsolo.cron_run r where r.job = u.job and r.scheduled_at = u.at)`

	selectAnyDecision = `select exists (select from pgsolo.cron_decision where "group" = $1)`

	foldDecisions = `with gone as (
			delete from pgsolo.cron_decision
			where "group" = $2 and exists (select from pgsolo.cron_leader where "group" = $2 and term = $3)
			returning jobs, ats
		)
		insert into pgsolo.cron_position as p (job, decided_to)
		select d.job, ` + latestPosition + `
		from (select u.job, u.at from gone, unnest(gone.jobs, gone.ats) as u (job, at)) d
		group by d.job order by d.job
		on conflict (job) do update set decided_to = excluded.decided_to
		where case when p.decided_to <= $1 then excluded.decided_to between p.decided_to and $1
			else excluded.decided_to <= $1 or excluded.decided_to > p.decided_to end`

	// What the positions lack: jobs that are new, and what leaders of the version before have decided on, who know of
	// none. It writes nothing where the leader before was of this version.
	insertPositions = `insert into pgsolo.cron_position as p (job, decided_to)
		select u.job, u.at from unnest($1::text[], $2::timestamptz[]) as u (job, at) order by u.job
		on conflict (job) do update set decided_to = excluded.decided_to`
)

// Fold folds the decisions of the group into the positions. now is the clock of the schedules.
func (s Store) Fold(ctx context.Context, term int64, now time.Time) error {
	var some bool
	if err := s.DB.QueryRow(ctx, selectAnyDecision, s.Group).Scan(&some); err != nil || !some {
		return err
	}
	_, err := s.DB.Exec(ctx, foldDecisions, now.Add(LongStep), s.Group, term)
	return err
}

// believePositions has each job's position count beside its history: the later one of the two.
//
// A position after now whose tick has a row, or has left the history as history is pruned, says no more than the rows.
// If that row is gone otherwise, it is unknown what was missed up to now, and what comes up to the position is decided
// on.
func believePositions(ctx context.Context, tx pg.Tx, now time.Time, known []Known) error {
	rows, err := tx.Query(ctx, selectPositions, now.Add(LongStep))
	if err != nil {
		return err
	}
	var (
		job   string
		at    time.Time
		found = make(map[string]time.Time, len(known))
	)
	if _, err = pgx.ForEachRow(rows, []any{&job, &at}, func() error { found[job] = at; return nil }); err != nil {
		return err
	}
	ahead := map[string]*Known{}
	var (
		jobs []string
		ats  []time.Time
	)
	for i := range known {
		k := &known[i]
		position, ok := found[k.Job]
		if !ok {
			continue
		}
		k.DecidedTo = &position
		switch {
		case !position.After(now):
			k.Last = later(k.Last, position)
		case k.PrunedTo == nil || k.PrunedTo.Before(position):
			ahead[k.Job], jobs, ats = k, append(jobs, k.Job), append(ats, position)
		}
	}
	if len(ahead) == 0 {
		return nil
	}
	if rows, err = tx.Query(ctx, selectGone, jobs, ats); err != nil {
		return err
	}
	_, err = pgx.ForEachRow(rows, []any{&job}, func() error {
		k := ahead[job]
		k.Last, k.PrunedTo = later(k.Last, now), k.DecidedTo
		return nil
	})
	return err
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// advancePositions writes the positions that are behind what is known, under the lock of the leader's row.
func advancePositions(ctx context.Context, tx pg.Tx, known []Known) error {
	var (
		names []string
		to    []time.Time
	)
	for _, k := range known {
		if k.DecidedTo == nil || k.DecidedTo.Before(k.Last) {
			names, to = append(names, k.Job), append(to, k.Last)
		}
	}
	if len(names) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, insertPositions, names, to)
	return err
}
