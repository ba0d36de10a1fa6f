package jobs

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// The outcomes of a run, as they stand in cron_run. The first three are open.
const (
	outcomeQueued      = "queued"
	outcomeRunning     = "running"
	outcomeRetrying    = "retrying"
	outcomeOK          = "ok"
	outcomeFailed      = "failed"
	outcomeInterrupted = "interrupted"
	outcomeReplaced    = "replaced"
	outcomeSkipped     = "skipped"
	outcomeMissed      = "missed"
)

// Why a run is started.
const (
	causeSchedule = "schedule"
	causeCatchUp  = "catch_up"
	causeManual   = "manual"
)

// runResult is how an attempt ended, or why there was none.
type runResult struct {
	outcome    string
	failure    string // empty: none
	output     string
	exitCode   *int
	httpStatus *int
}

// cronStore writes the rows of one group's jobs. Each transaction that writes locks the row of the group's leader first: that puts it
// before or after a newer leader's claim, and after one it writes nothing. All may be repeated when their answer was lost.
type cronStore struct {
	pool    *pgxpool.Pool
	schema  string
	group   string
	session *cronSession // nil: any of the pool
}

const (
	// With these the statements after them are planned to look up each row by its key: bitmaps are made for conditions only. Of a
	// table that was just empty, the planner would rather read all for each row, and keep to that.
	planByKey = `set_config('enable_seqscan', 'off', true), set_config('enable_indexscan', 'off', true)`

	fenceCron = `select ` + planByKey + ` from pgsolo.cron_leader where "group" = $1 and term = $2 for share`

	// Each of these runs after the fence in its transaction, with a later snapshot: the term that it finds is the one that was locked.
	// Each names the attempt that it is about: a try that was given up may come late, when a later attempt is under way. Those that are
	// open are named by what they are not, which keeps the planner from the index of open rows: it may take that for empty.
	// Rows that are there and on which somebody else has a lock are left out.

	// A job that is another group's by now gets no row, and one that somebody has paused none either. A row of the same term that is
	// as it would be written is the one that a lost answer left behind: while a tick is open, it is not decided on again.
	insertRuns = `insert into pgsolo.cron_run as r (job, scheduled_at, term, holder, cause, outcome, attempt, started_at, finished_at, error)
		select u.job, u.at, $2, $3, u.cause, u.outcome, (u.outcome = 'running')::int,
			case when u.outcome = 'running' then clock_timestamp() end,
			case when u.outcome not in ('running', 'queued') then clock_timestamp() end, nullif(u.error, '')
		from unnest($4::text[], $5::timestamptz[], $6::text[], $7::text[], $8::text[]) as u (job, at, cause, outcome, error)
			join pgsolo.cron_job j on j.job = u.job and j."group" = $1 and j.paused_at is null
		where exists (select from pgsolo.cron_leader l where l."group" = $1 and l.term = $2)
		on conflict (job, scheduled_at) do update set term = excluded.term
			where r.term = excluded.term and r.outcome = excluded.outcome and r.outcome in ('queued', 'running')
		returning job, scheduled_at`

	startRuns = `with free as (
			select u.job, u.at, u.attempt
			from unnest($4::text[], $5::timestamptz[], $6::int[]) as u (job, at, attempt)
				join pgsolo.cron_job j on j.job = u.job and j."group" = $1
				join pgsolo.cron_run r on r.job = u.job and r.scheduled_at = u.at
			where exists (select from pgsolo.cron_leader l where l."group" = $1 and l.term = $2)
				and r.outcome <> all ('{ok,failed,interrupted,replaced,skipped,missed}'::text[])
				and (r.outcome <> 'running' and r.attempt = u.attempt - 1
					or r.outcome = 'running' and r.attempt = u.attempt and r.term = $2)
			for no key update of r skip locked
		)
		update pgsolo.cron_run r
		set outcome = 'running', term = $2, holder = $3, attempt = u.attempt, started_at = clock_timestamp(), finished_at = null,
			next_at = null, error = null, output = null, exit_code = null, http_status = null
		from free u where r.job = u.job and r.scheduled_at = u.at
		returning r.job, r.scheduled_at`

	settleRuns = `with free as (
			select u.*
			from unnest($3::text[], $4::timestamptz[], $5::int[], $6::text[], $7::timestamptz[], $8::text[], $9::text[], $10::int[], $11::int[])
					as u (job, at, attempt, outcome, next_at, error, output, exit_code, http_status)
				join pgsolo.cron_run r on r.job = u.job and r.scheduled_at = u.at and r.attempt = u.attempt
					and r.outcome <> all ('{ok,failed,interrupted,replaced,skipped,missed}'::text[])
			where exists (select from pgsolo.cron_leader l where l."group" = $1 and l.term = $2)
			for no key update of r skip locked
		)
		update pgsolo.cron_run r
		set outcome = u.outcome, next_at = u.next_at, error = nullif(u.error, ''), output = nullif(u.output, ''), exit_code = u.exit_code,
			http_status = u.http_status, finished_at = clock_timestamp()
		from free u where r.job = u.job and r.scheduled_at = u.at
		returning r.job, r.scheduled_at`
)

// begin writes, in one transaction and one round trip, the rows of ticks that have come due, each with its outcome, and that those
// which have a row already are started. It returns the rows that are as they were asked for: a tick that has been decided on before
// is not among them.
func (s cronStore) begin(ctx context.Context, term int64, holder string, inserts, starts []*cronRun) (map[runKey]bool, error) {
	mine := map[runKey]bool{}
	batch := s.fence(term)
	if n := len(inserts); n > 0 {
		jobs, ats, causes, outcomes, reasons := make([]string, n), make([]time.Time, n), make([]string, n), make([]string, n), make([]string, n)
		for i, r := range inserts {
			jobs[i], ats[i], causes[i], outcomes[i], reasons[i] = r.job.Name, r.at, r.cause, r.result.outcome, r.result.failure
		}
		batch.Queue(inSchema(insertRuns, s.schema), s.group, term, holder, jobs, ats, causes, outcomes, reasons).
			Query(func(rows pgx.Rows) error { return scanKeys(rows, mine) })
	}
	if n := len(starts); n > 0 {
		jobs, ats, attempts := make([]string, n), make([]time.Time, n), make([]int, n)
		for i, r := range starts {
			jobs[i], ats[i], attempts[i] = r.job.Name, r.at, r.attempt
		}
		batch.Queue(inSchema(startRuns, s.schema), s.group, term, holder, jobs, ats, attempts).
			Query(func(rows pgx.Rows) error { return scanKeys(rows, mine) })
	}
	return mine, s.send(ctx, batch)
}

// settle writes how attempts ended, and what becomes of runs that are not started any more. What is settled already, stays so. It
// returns what it has written.
func (s cronStore) settle(ctx context.Context, term int64, runs []*cronRun) (map[runKey]bool, error) {
	n := len(runs)
	jobs, ats, outcomes, failures, outputs := make([]string, n), make([]time.Time, n), make([]string, n), make([]string, n), make([]string, n)
	attempts, nexts, codes, statuses := make([]int, n), make([]*time.Time, n), make([]*int, n), make([]*int, n)
	for i, r := range runs {
		jobs[i], ats[i], outcomes[i], failures[i], outputs[i] = r.job.Name, r.at, r.result.outcome, r.result.failure, r.result.output
		attempts[i], codes[i], statuses[i] = r.attempt, r.result.exitCode, r.result.httpStatus
		if r.result.outcome == outcomeRetrying {
			nexts[i] = &r.nextAt
		}
	}
	batch := s.fence(term)
	written := map[runKey]bool{}
	batch.Queue(inSchema(settleRuns, s.schema), s.group, term, jobs, ats, attempts, outcomes, nexts, failures, outputs, codes, statuses).
		Query(func(rows pgx.Rows) error { return scanKeys(rows, written) })
	return written, s.send(ctx, batch)
}

func (s cronStore) send(ctx context.Context, batch *pgx.Batch) error {
	if s.session != nil {
		return s.session.send(ctx, batch)
	}
	return s.pool.SendBatch(ctx, batch).Close()
}

// fence begins a batch, which is one transaction, with the lock of the leader's row.
func (s cronStore) fence(term int64) *pgx.Batch {
	batch := &pgx.Batch{}
	batch.Queue(inSchema(fenceCron, s.schema), s.group, term).Query(func(rows pgx.Rows) error {
		held := rows.Next()
		rows.Close()
		if err := rows.Err(); err != nil || held {
			return err
		}
		return ErrFenced
	})
	return batch
}

// runKey is the key of cron_run.
type runKey struct {
	job string
	at  int64 // microseconds since 1970
}

func (r *cronRun) key() runKey { return runKey{r.job.Name, r.at.UnixMicro()} }

func scanKeys(rows pgx.Rows, into map[runKey]bool) error {
	var (
		job string
		at  time.Time
	)
	_, err := pgx.ForEachRow(rows, []any{&job, &at}, func() error {
		into[runKey{job, at.UnixMicro()}] = true
		return nil
	})
	return err
}
