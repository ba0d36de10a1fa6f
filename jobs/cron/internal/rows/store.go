package rows

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// Store reads and writes the rows of one group's jobs.
type Store struct {
	DB    pg.DB
	Group string
	Grace time.Duration // how long the group has to be led without a job until that begins anew when it comes back

	Shared bool // the pool serves other schedulers, too

	session *session // nil: any of the pool
}

// Until returns a store whose steps are left to the next leader where they fail when stopping says so.
func (s Store) Until(stopping func() bool) Store {
	s.DB.Stopping = stopping
	return s
}

const (
	// With these, each row is looked up by its key: without a condition there is no bitmap scan, and the others are
	// off. Of a table that was just empty, the planner would rather read all for each row, and keep to that plan.
	planByKey = `set_config('enable_seqscan', 'off', true), set_config('enable_indexscan', 'off', true)`

	fence = `select ` + planByKey + ` from pgsolo.cron_leader where "group" = $1 and term = $2 for share`

	// Each of these runs after the fence in its transaction, with a later snapshot: the term that it finds is the one
	// that was locked. Each names the attempt that it is about: a try that was given up may come late, when a later
	// attempt is under way. Those that are open are named by what they are not, which keeps the planner from the index
	// of open rows: it may take that for empty. Rows that another session has locked are not waited for: startRuns and
	// settleRuns leave them out.

	// A job that is another group's by now gets no row, and one that is paused none either. One whose own row somebody
	// has deleted goes on: the leader writes that again when it finds out. A tick that has a row is not decided on
	// again.
	//
	// What is decided on is noted in the same statement, in one row for all. See position.go.
	insertRuns = `with decided as materialized (
			select u.job, u.at, u.cause, u.outcome, u.error
			from unnest($4::text[], $5::timestamptz[], $6::text[], $7::text[], $8::text[]) ` +
		`as u (job, at, cause, outcome, error)
				left join pgsolo.cron_job j on j.job = u.job
			where (j.job is null or j."group" = $1 and j.paused_at is null)
				and exists (select from pgsolo.cron_leader l where l."group" = $1 and l.term = $2)
		), noted as (
			insert into pgsolo.cron_decision ("group", jobs, ats)
			select $1, array_agg(u.job), array_agg(u.at) from decided u having count(*) > 0
		)
		insert into pgsolo.cron_run as r ` +
		`(job, scheduled_at, term, holder, cause, outcome, attempt, started_at, finished_at, error)
		select u.job, u.at, $2, $3, u.cause, u.outcome, (u.outcome = 'running')::int,
			case when u.outcome = 'running' then clock_timestamp() end,
			case when u.outcome not in ('running', 'queued') then clock_timestamp() end, nullif(u.error, '')
		from decided u
		on conflict (job, scheduled_at) do nothing
		returning job, scheduled_at`

	// The open rows of this term that are as they would be made: an answer was lost.
	selectInserted = `select r.job, r.scheduled_at
		from unnest($2::text[], $3::timestamptz[], $4::text[]) as u (job, at, outcome)
			join pgsolo.cron_run r on r.job = u.job and r.scheduled_at = u.at and r.term = $1 and r.outcome = u.outcome
				and r.attempt = (u.outcome = 'running')::int and r.outcome <> all ` + endedOutcomes

	startRuns = `with free as (
			select u.job, u.at, u.attempt
			from unnest($4::text[], $5::timestamptz[], $6::int[]) as u (job, at, attempt)
				join pgsolo.cron_run r on r.job = u.job and r.scheduled_at = u.at
				left join pgsolo.cron_job j on j.job = u.job
			where (j.job is null or j."group" = $1)
				and exists (select from pgsolo.cron_leader l where l."group" = $1 and l.term = $2)
				and r.outcome <> all ` + endedOutcomes + `
				and (r.outcome <> 'running' and r.attempt = u.attempt - 1
					or r.outcome = 'running' and r.attempt = u.attempt and r.term = $2)
			for no key update of r skip locked
		)
		update pgsolo.cron_run r
		set outcome = 'running', term = $2, holder = $3, attempt = u.attempt, ` +
		`started_at = clock_timestamp(), finished_at = null,
			next_at = null, error = null, output = null, exit_code = null, http_status = null
		from free u where r.job = u.job and r.scheduled_at = u.at
		returning r.job, r.scheduled_at`

	settleRuns = `with free as (
			select u.*
			from unnest($3::text[], $4::timestamptz[], $5::int[], $6::text[], $7::timestamptz[], ` +
		`$8::text[], $9::text[], $10::int[], $11::int[])
					as u (job, at, attempt, outcome, next_at, error, output, exit_code, http_status)
				join pgsolo.cron_run r on r.job = u.job and r.scheduled_at = u.at and r.attempt = u.attempt
					and r.outcome <> all ` + endedOutcomes + `
			where exists (select from pgsolo.cron_leader l where l."group" = $1 and l.term = $2)
			for no key update of r skip locked
		)
		update pgsolo.cron_run r
		set outcome = u.outcome, next_at = u.next_at, error = nullif(u.error, ''), ` +
		`output = nullif(u.output, ''), exit_code = u.exit_code,
			http_status = u.http_status, finished_at = clock_timestamp()
		from free u where r.job = u.job and r.scheduled_at = u.at
		returning r.job, r.scheduled_at`

	// What startRuns and settleRuns would have written but for a lock.
	selectLocked = `select r.job, r.scheduled_at
		from unnest($3::text[], $4::timestamptz[], $5::int[], $6::text[]) as u (job, at, attempt, outcome)
			join pgsolo.cron_run r on r.job = u.job and r.scheduled_at = u.at
				and r.outcome <> all ` + endedOutcomes + `
			left join pgsolo.cron_job j on j.job = u.job
		where (j.job is null or j."group" = $1)
			and case when u.outcome <> 'running' then r.outcome <> u.outcome and r.attempt = u.attempt
			when r.outcome <> 'running' then r.attempt = u.attempt - 1
			else r.attempt = u.attempt and r.term = $2 end`
)

// Begin writes, in one transaction and one round trip, the rows of ticks that have come due, each with its outcome, and
// that those which have a row already are started. mine are the rows that are as they were asked for: a tick that has
// been decided on before is not among them. locked are starts that were left out.
func (s Store) Begin(
	ctx context.Context, term int64, holder string, inserts, starts []*Run,
) (mine, locked map[Key]bool, err error) {
	err = s.DB.WithTexts(ctx, append(textsOf(inserts), &holder), func() (err error) {
		mine, locked, err = s.begin(ctx, term, holder, inserts, starts)
		return err
	})
	return mine, locked, err
}

func (s Store) begin(
	ctx context.Context, term int64, holder string, inserts, starts []*Run,
) (mine, locked map[Key]bool, err error) {
	mine = map[Key]bool{}
	batch := s.fence(term)
	if len(inserts) > 0 {
		u := columnsOf(inserts, nil)
		queue(batch, mine, insertRuns, s.Group, term, holder, u.jobs, u.ats, u.causes, u.outcomes, u.failures)
	}
	if len(starts) > 0 {
		u := columnsOf(starts, nil)
		queue(batch, mine, startRuns, s.Group, term, holder, u.jobs, u.ats, u.attempts)
	}
	if err := s.send(ctx, batch); err != nil || len(mine) == len(inserts)+len(starts) {
		return mine, nil, err
	}
	locked = map[Key]bool{}
	batch = s.DB.Batch()
	batch.Queue(`select ` + planByKey)
	u := columnsOf(inserts, mine)
	queue(batch, mine, selectInserted, term, u.jobs, u.ats, u.outcomes)
	s.queueLocked(batch, locked, term, columnsOf(starts, mine))
	return mine, locked, s.send(ctx, batch)
}

// Settle writes how attempts ended, and what becomes of runs that are not started any more. What is settled already,
// stays so. It returns what was left out. Outputs and failures are kept as far as the database can hold them.
func (s Store) Settle(ctx context.Context, term int64, runs []*Run) (locked map[Key]bool, err error) {
	err = s.DB.WithTexts(ctx, textsOf(runs), func() (err error) {
		locked, err = s.settle(ctx, term, runs)
		return err
	})
	return locked, err
}

func (s Store) settle(ctx context.Context, term int64, runs []*Run) (locked map[Key]bool, err error) {
	written := map[Key]bool{}
	batch := s.fence(term)
	u := columnsOf(runs, nil)
	queue(batch, written, settleRuns, s.Group, term, u.jobs, u.ats, u.attempts, u.outcomes, u.nexts, u.failures,
		u.outputs, u.exitCodes, u.httpStatuses)
	if err := s.send(ctx, batch); err != nil || len(written) == len(runs) {
		return nil, err
	}
	locked = map[Key]bool{}
	batch = s.DB.Batch()
	batch.Queue(`select ` + planByKey)
	s.queueLocked(batch, locked, term, columnsOf(runs, written))
	return locked, s.send(ctx, batch)
}

func (s Store) queueLocked(batch *pg.Batch, locked map[Key]bool, term int64, u columns) {
	queue(batch, locked, selectLocked, s.Group, term, u.jobs, u.ats, u.attempts, u.outcomes)
}

// queue adds a statement that returns keys.
func queue(batch *pg.Batch, into map[Key]bool, sql string, args ...any) {
	batch.Queue(sql, args...).Query(func(rows pgx.Rows) error { return scanKeys(rows, into) })
}

// fence begins a batch, which is one transaction, with the lock of the leader's row.
func (s Store) fence(term int64) *pg.Batch {
	batch := s.DB.Batch()
	batch.Queue(fence, s.Group, term).Query(func(rows pgx.Rows) error {
		held := rows.Next()
		rows.Close()
		if err := rows.Err(); err != nil || held {
			return err
		}
		return pg.ErrFenced
	})
	return batch
}

// send carries out a batch as one transaction.
func (s Store) send(ctx context.Context, batch *pg.Batch) error {
	if s.session != nil {
		return s.session.send(ctx, &batch.Batch)
	}
	return s.DB.Pool.SendBatch(ctx, &batch.Batch).Close()
}
