package rows

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

var (
	claimCronLeader = `insert into pgsolo.cron_leader as l ("group", term) values ($1, $2)
		on conflict ("group") do update set term = excluded.term where l.term <= excluded.term`

	// A new job, one with another schedule, and one that was not enabled, begins now, and so does one that leaders of
	// its group have lacked for longer than the grace. One that another group has just forgotten has moved, and goes
	// on.
	upsertCronJobs = `insert into pgsolo.cron_job as j (job, schedule, last_at, "group", enabled)
		select u.job, u.schedule, $5::timestamptz, $1, u.enabled
		from unnest($2::text[], $3::text[], $4::boolean[]) as u (job, schedule, enabled)
		where u.job = any ($6::text[])
		on conflict (job) do update set
			last_at = case when j.schedule = excluded.schedule and (j.enabled or not excluded.enabled)
					and (j.forgotten_at is null or not pgsolo.is_retired('job', j."group", j.job, $8)
						or j."group" <> excluded."group" and j.forgotten_at > $7)
				then j.last_at else excluded.last_at end,
			schedule = excluded.schedule, "group" = excluded."group", enabled = excluded.enabled, forgotten_at = null`

	// What is left open of jobs that were removed, once the grace is over: at once where one of them is there again,
	// and else when it has not moved to another group, whose leader would go on with it.
	closeForgottenRuns = `update pgsolo.cron_run r
		set outcome = case when r.outcome = 'running' then 'interrupted' else 'skipped' end, next_at = null,
			error = 'the job was removed from the configuration', finished_at = clock_timestamp()
		from pgsolo.cron_job j
		where j.job = r.job and j."group" = $1 and j.forgotten_at < $2 ` +
		`and pgsolo.is_retired('job', j."group", j.job, $4) ` +
		`and ($3::text[] is null or j.job = any ($3::text[]))
			and r.outcome in ` + openOutcomes

	forgetCronJobs = `update pgsolo.cron_job set forgotten_at = $3
		where "group" = $1 and forgotten_at is null and job <> all ($2::text[])`

	// The latest tick is the one up to now: a later one is from a clock that was ahead, or is behind now. Where there
	// are only later ones, it is unknown what was missed. Where last_at is the end of a pause, the position has what it
	// was before, and a tick may be from before that end and have to start after it.
	selectCronJobs = `select j.job, ` + finite(`greatest(nullif(j.last_at, j.resumed_at),
				case when j.resumed_at > $2 then $2 else j.resumed_at end
					- make_interval(secs => coalesce(d.seconds, 0)),
				coalesce(t.scheduled_at, f.now))`) + `,
			` + finite(`j.pruned_to`) + `, j.paused_at is not null, ` + finite(`s.finished_at`) + `
		from pgsolo.cron_job j
			left join unnest($3::text[], $4::float8[]) as d (job, seconds) on d.job = j.job
			left join lateral (
				select r.scheduled_at from pgsolo.cron_run r
				where r.job = j.job and r.scheduled_at <= $2 and r.cause <> 'manual' ` +
		`order by r.scheduled_at desc limit 1
			) t on true
			left join lateral (
				select $2::timestamptz as now from pgsolo.cron_run r
				where r.job = j.job and r.scheduled_at > $2 and r.cause <> 'manual' limit 1
			) f on true
			left join lateral (
				select r.finished_at from pgsolo.cron_run r
				where r.job = j.job and r.outcome = 'ok' order by r.scheduled_at desc limit 1
			) s on true
		where j."group" = $1 and j.forgotten_at is null`

	selectOpenRuns = `select r.job, r.scheduled_at, r.outcome, r.cause, r.attempt, r.term, ` +
		finite(`coalesce(r.next_at, r.scheduled_at)`) + `
		from pgsolo.cron_run r join pgsolo.cron_job j on j.job = r.job
		where j."group" = $1 and j.forgotten_at is null and r.outcome in ` + openOutcomes + `
			and not (r.outcome = 'queued' and r.cause = 'manual')
		order by r.job, r.scheduled_at`
)

// movedFor is how long after it was forgotten by one group a job counts as moved when another one claims it.
const movedFor = 10 * time.Minute

// always is later than every time that a job was forgotten.
var always = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// Job is what a claim makes known of a job.
type Job struct {
	Name     string
	Schedule string // in its normal form
	Enabled  bool
	Delay    time.Duration // from a tick to its start
}

// Claim is what a claim has found.
type Claim struct {
	Known []Known
	Open  []Open
	Moved []string             // jobs that were another group's, which may still run them
	Held  map[string]HeldOwner // jobs that are another group's
}

// Known is what the database knows of a job.
type Known struct {
	Job         string
	Last        time.Time  // ticks up to here are decided on
	PrunedTo    *time.Time // and so are these, if the clock of the leader before was ahead of this one's
	Paused      bool
	LastSuccess *time.Time
	DecidedTo   *time.Time // the job's position; nil: it had none
}

// Open is a row that an earlier leader has left open.
type Open struct {
	Job     string
	At      time.Time
	Outcome string
	Cause   string
	Attempt int
	Term    int64
	NextAt  time.Time
}

// Claim makes term the one that may write the group's jobs, makes these known, and returns what earlier leaders have
// left. now is the clock of the schedules. Jobs of another group are taken if it has forgotten them, or as take says;
// the others are held.
func (s Store) Claim(ctx context.Context, term int64, all []Job, now time.Time, take Take) (c Claim, err error) {
	names, schedules, enabled := make([]string, len(all)), make([]string, len(all)), make([]bool, len(all))
	delays := make([]float64, len(all))
	for i, j := range all {
		names[i], schedules[i], enabled[i], delays[i] = j.Name, j.Schedule, j.Enabled, j.Delay.Seconds()
	}
	taking := taking{take: take}
	claim := func(tx pg.Tx) error {
		if err := s.lockOthers(ctx, tx, &taking); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, claimCronLeader, s.Group, term)
		if err == nil && tag.RowsAffected() == 0 {
			return pg.ErrFenced
		}
		if err != nil {
			return err
		}
		c = Claim{}
		changed, err := s.changed(ctx, tx, &c, &taking, names, schedules, enabled)
		if err != nil {
			return err
		}
		if len(changed) > 0 {
			grace := s.Grace.Microseconds()
			if _, err := tx.Exec(ctx, closeForgottenRuns, s.Group, always, changed, grace); err != nil {
				return err
			}
			begin, moved := now.Truncate(time.Second), now.Add(-movedFor)
			_, err := tx.Exec(ctx, upsertCronJobs, s.Group, names, schedules, enabled, begin, changed, moved, grace)
			if err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, forgetCronJobs, s.Group, names, now); err != nil {
			return err
		}
		if err := s.selectLeft(ctx, tx, now, names, delays, &c); err != nil {
			return err
		}
		return advancePositions(ctx, tx, c.Known)
	}
	err = s.DB.InTx(ctx, claim)
	if errors.Is(err, errNotLocked) {
		err = s.DB.InTx(ctx, claim)
	}
	return c, err
}

// selectLeft reads what earlier leaders have left.
func (s Store) selectLeft(
	ctx context.Context, tx pg.Tx, now time.Time, names []string, delays []float64, c *Claim,
) error {
	rows, err := tx.Query(ctx, selectCronJobs, s.Group, now, names, delays)
	if err != nil {
		return err
	}
	c.Known, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (j Known, err error) {
		return j, row.Scan(&j.Job, &j.Last, &j.PrunedTo, &j.Paused, &j.LastSuccess)
	})
	if err != nil {
		return err
	}
	if err := believePositions(ctx, tx, now, c.Known); err != nil {
		return err
	}
	if rows, err = tx.Query(ctx, selectOpenRuns, s.Group); err != nil {
		return err
	}
	c.Open, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (r Open, err error) {
		return r, row.Scan(&r.Job, &r.At, &r.Outcome, &r.Cause, &r.Attempt, &r.Term, &r.NextAt)
	})
	return err
}
