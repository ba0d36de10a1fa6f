package e2e

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/fleet"
)

// cronRow is a row of the history.
type cronRow struct {
	Job     string
	At      time.Time
	Outcome string
	Attempt int
	Term    int64
	Cause   string
	Error   string
}

func (row cronRow) attempt(number int) fleet.Attempt {
	return fleet.Attempt{Job: row.Job, At: row.At.UTC(), Number: number}
}

func (row cronRow) key() string { return row.Job + "/" + inUTC(row.At) }

// rows returns those of a job up to a time, the earliest one first.
func (r *replicas) rows(job string, until time.Time) []cronRow {
	r.t.Helper()
	rows, err := r.conn.Query(r.t.Context(), `
		select job, scheduled_at, outcome, attempt, term, cause, coalesce(error, '')
		from pgsolo.cron_run where job = $1 and scheduled_at <= $2 order by scheduled_at`, job, until)
	if err != nil {
		r.t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[cronRow])
	if err != nil {
		r.t.Fatal(err)
	}
	return all
}

// settled waits until every tick up to now has its outcome in the row, and returns that moment.
func (r *replicas) settled(jobs int) time.Time {
	r.t.Helper()
	until := time.Now().Truncate(time.Second)
	r.has("the end of all runs", `
		select count(*) filter (where latest >= $1) = $2 and coalesce(bool_and(open is null), false)
		from (select job, max(scheduled_at) filter (where cause <> 'manual') as latest,
			min(scheduled_at) filter (where outcome in ('queued', 'running', 'retrying') and scheduled_at <= $1) as open
			from pgsolo.cron_run group by job) j`, until, jobs)
	return until
}

// check compares what stands in a row with what was started. A run that was cut off may have been so before its start.
func (w *witness) check(row cronRow) (starts []int) {
	w.t.Helper()
	term := int64(0)
	for number := 1; number <= row.Attempt+1; number++ {
		a := row.attempt(number)
		s := w.started(a)
		terms := s.Terms
		if len(terms) == 0 {
			continue
		}
		starts = append(starts, number)
		switch {
		case len(terms) > 1:
			w.t.Errorf("%v was started %d times, in the terms %v", a, len(terms), terms)
		case number > row.Attempt:
			w.t.Errorf("%v was started, and its row is %+v", a, row)
		case terms[0] < term:
			w.t.Errorf("%v was started in term %d, after one in term %d", a, terms[0], term)
		case number == row.Attempt && terms[0] != row.Term:
			w.t.Errorf("%v was started in term %d, and its row is %+v", a, terms[0], row)
		}
		if s.CatchUp != (row.Cause == "catch_up") {
			w.t.Errorf("%v was told that it is made up for: %v, and its row is %+v", a, s.CatchUp, row)
		}
		term = terms[0]
	}
	if row.Outcome == "ok" && (len(starts) == 0 || starts[len(starts)-1] != row.Attempt) {
		w.t.Errorf("started in the attempts %v, and the row is %+v", starts, row)
	}
	return starts
}

// checkNoOthers wants no start without a row. rows are all up to a time, by their idempotency keys.
func (w *witness) checkNoOthers(rows map[string]cronRow, until time.Time) {
	w.t.Helper()
	w.Read(func(seen fleet.Tally) {
		for a := range seen.Attempts {
			if _, ok := rows[a.Job+"/"+inUTC(a.At)]; !ok && !a.At.After(until) {
				w.t.Errorf("%v was started without a row", a)
			}
		}
	})
}

// checkSeconds wants one row for each second.
func checkSeconds(t *testing.T, rows []cronRow, until time.Time) {
	t.Helper()
	for i, row := range rows {
		if i > 0 && row.At.Sub(rows[i-1].At) != time.Second {
			t.Errorf("after the tick of %s comes %+v", rows[i-1].At, row)
		}
	}
	if len(rows) == 0 || !rows[len(rows)-1].At.Equal(until) {
		t.Errorf("%d rows, none of them for %s", len(rows), until)
	}
}
