package rows

import (
	"time"

	"github.com/jackc/pgx/v5"
)

// The outcomes of a run, as they stand in cron_run. The first three are open, the others ended.
const (
	Queued      = "queued"
	Running     = "running"
	Retrying    = "retrying"
	OK          = "ok"
	Failed      = "failed"
	Interrupted = "interrupted"
	Replaced    = "replaced"
	Skipped     = "skipped"
	Missed      = "missed"
)

// The same two sets as SQL has them: a list for in and not in, and an array for <> all.
const (
	openOutcomes  = `('queued', 'running', 'retrying')`
	endedOutcomes = `('{ok,failed,interrupted,replaced,skipped,missed}'::text[])`
)

// finite is a date of which an operator may have made infinity, which is no time.Time: a far one, or null for null.
func finite(date string) string {
	return `case when ` + date + ` is not null ` +
		`then greatest(least(` + date + `, '9999-01-01 00:00Z'), '1970-01-01 00:00Z') end`
}

// The causes of a run.
const (
	Schedule = "schedule"
	CatchUp  = "catch_up"
	Manual   = "manual"
)

// Run is a row of cron_run, as it is to be written.
type Run struct {
	Job     string
	At      time.Time // scheduled_at
	Cause   string
	Attempt int       // the latest one; 0 before the first
	NextAt  time.Time // of the next attempt; written only for Retrying
	Result
}

// Result is how an attempt ended, or why there was none.
type Result struct {
	Outcome    string
	Failure    string // empty: none
	Output     string
	ExitCode   *int
	HTTPStatus *int
}

// Key is the key of cron_run.
type Key struct {
	Job string
	At  int64 // microseconds since 1970
}

// KeyOf returns the key of the run of a job that is scheduled at that time.
func KeyOf(job string, at time.Time) Key { return Key{job, at.UnixMicro()} }

// Key returns the key of the row.
func (r *Run) Key() Key { return KeyOf(r.Job, r.At) }

// textsOf are those of foreign origin.
func textsOf(runs []*Run) (texts []*string) {
	for _, r := range runs {
		texts = append(texts, &r.Failure, &r.Output)
	}
	return texts
}

func scanKeys(rows pgx.Rows, into map[Key]bool) error {
	var (
		job string
		at  time.Time
	)
	_, err := pgx.ForEachRow(rows, []any{&job, &at}, func() error {
		into[KeyOf(job, at)] = true
		return nil
	})
	return err
}

// columns are runs as the arrays that the statements take.
type columns struct {
	jobs, causes, outcomes, failures, outputs []string
	ats                                       []time.Time
	attempts                                  []int
	nexts                                     []*time.Time
	exitCodes, httpStatuses                   []*int
}

// columnsOf leaves out those that are in but.
func columnsOf(runs []*Run, but map[Key]bool) (u columns) {
	for _, r := range runs {
		if but[r.Key()] {
			continue
		}
		var next *time.Time
		if r.Outcome == Retrying {
			next = &r.NextAt
		}
		u.jobs, u.ats, u.causes = append(u.jobs, r.Job), append(u.ats, r.At), append(u.causes, r.Cause)
		u.attempts, u.outcomes = append(u.attempts, r.Attempt), append(u.outcomes, r.Outcome)
		u.failures, u.outputs = append(u.failures, r.Failure), append(u.outputs, r.Output)
		u.nexts, u.exitCodes = append(u.nexts, next), append(u.exitCodes, r.ExitCode)
		u.httpStatuses = append(u.httpStatuses, r.HTTPStatus)
	}
	return u
}
