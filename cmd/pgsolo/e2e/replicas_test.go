package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// replicas are processes of one configuration against one database.
type replicas struct {
	t    *testing.T
	path string
	url  string
	conn *pgx.Conn
	all  []*process
}

func startReplicas(t *testing.T, url, more string, n int) *replicas {
	r := &replicas{t: t, path: configure(t, url, more), url: url, conn: connect(t, url)}
	for range n {
		r.start()
	}
	return r
}

func (r *replicas) start() *process {
	// With the race detector a program waits for a second before it exits.
	p := start(r.t, []string{"GORACE=atexit_sleep_ms=0"}, "run", "-c", r.path)
	r.all = append(r.all, p)
	return p
}

// leader waits for one with a later term.
func (r *replicas) leader(after int64) (leads *process, term int64) {
	r.t.Helper()
	eventually(r.t, "a leader", func() bool {
		var pid int64
		err := r.conn.QueryRow(r.t.Context(), `select split_part(holder, '/', -1)::bigint, term from pgsolo.leader where term > $1`,
			after).Scan(&pid, &term)
		for _, p := range r.all {
			if err == nil && int64(p.cmd.Process.Pid) == pid {
				leads = p
			}
		}
		return leads != nil
	})
	return leads, term
}

// has waits until a query of one boolean says so.
func (r *replicas) has(what, query string, args ...any) {
	r.t.Helper()
	eventually(r.t, what, func() bool { return ask[bool](r.t, r.conn, query, args...) })
}

func (r *replicas) exec(sql string, args ...any) {
	r.t.Helper()
	if _, err := r.conn.Exec(r.t.Context(), sql, args...); err != nil {
		r.t.Fatal(err)
	}
}

// Sessions of the first term's leader.
const (
	ofFirstTerm = ` from pg_stat_activity where datname = current_database() and application_name = 'pgsolo main term 1'`
	waits       = `select count(*) > 0` + ofFirstTerm + ` and wait_event_type = 'Lock'`
	isGone      = `select count(*) = 0` + ofFirstTerm
)

// lock runs a statement that locks rows. unlock gives them free again.
func (r *replicas) lock(sql string) (unlock func()) {
	r.t.Helper()
	conn := connect(r.t, r.url)
	tx, err := conn.Begin(r.t.Context())
	if err == nil {
		_, err = tx.Exec(r.t.Context(), sql)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return func() {
		r.t.Helper()
		if err := tx.Rollback(context.Background()); err != nil {
			r.t.Fatal(err)
		}
		conn.Close(context.Background())
	}
}

// lockLeader keeps every leader from writing to the rows of cron jobs, from a moment on at which none of them is open.
func (r *replicas) lockLeader() (unlock func()) {
	r.t.Helper()
	eventually(r.t, "a moment without a run", func() bool {
		unlock = r.lock(`select from pgsolo.cron_leader for update`)
		if ask[bool](r.t, r.conn, `select not exists (select from pgsolo.cron_run where outcome in ('queued', 'running', 'retrying'))`) {
			return true
		}
		unlock()
		return false
	})
	return unlock
}

// freeze returns when all threads have stopped: on a busy machine that takes a while.
func (p *process) freeze() {
	p.t.Helper()
	p.signal(syscall.SIGSTOP)
	eventually(p.t, "a process that stands still", func() bool {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.cmd.Process.Pid)) // none where there is no /proc
		return err == nil && !slices.ContainsFunc(threads, func(path string) bool {
			stat, err := os.ReadFile(path)
			return err == nil && !strings.Contains(string(stat), ") T ")
		})
	})
}

func (p *process) thaw() { p.signal(syscall.SIGCONT) }

func ask[T any](t *testing.T, conn *pgx.Conn, query string, args ...any) (answer T) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), query, args...).Scan(&answer); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return answer
}

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

func (row cronRow) attempt(number int) attempt {
	return attempt{row.Job, row.At.UTC().Format(time.RFC3339Nano), number}
}

func (row cronRow) key() string { return row.Job + "/" + row.attempt(0).at }

// rows returns those of a job up to a time, the earliest one first.
func (r *replicas) rows(job string, until time.Time) []cronRow {
	r.t.Helper()
	rows, err := r.conn.Query(r.t.Context(), `select job, scheduled_at, outcome, attempt, term, cause, coalesce(error, '')
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
	r.has("the end of all runs", `select count(*) filter (where latest >= $1) = $2 and coalesce(bool_and(open is null), false)
		from (select job, max(scheduled_at) filter (where cause <> 'manual') as latest,
			min(scheduled_at) filter (where outcome in ('queued', 'running', 'retrying') and scheduled_at <= $1) as open
			from pgsolo.cron_run group by job) j`, until, jobs)
	return until
}

// check compares what stands in a row with what was started. A run that was cut off may have been so before its start.
func (w *cronWitness) check(row cronRow) (starts []int) {
	w.t.Helper()
	term := int64(0)
	for number := 1; number <= row.Attempt+1; number++ {
		a := row.attempt(number)
		terms, catchUp := w.arrived(a)
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
		if catchUp != (row.Cause == "catch_up") {
			w.t.Errorf("%v was told that it is made up for: %v, and its row is %+v", a, catchUp, row)
		}
		term = terms[0]
	}
	if row.Outcome == "ok" && (len(starts) == 0 || starts[len(starts)-1] != row.Attempt) {
		w.t.Errorf("started in the attempts %v, and the row is %+v", starts, row)
	}
	return starts
}

// checkNoOthers wants no start without a row. rows are all up to a time, by their idempotency keys.
func (w *cronWitness) checkNoOthers(rows map[string]cronRow, until time.Time) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for a := range w.terms {
		at, _ := time.Parse(time.RFC3339Nano, a.at)
		if _, ok := rows[a.job+"/"+a.at]; !ok && !at.After(until) {
			w.t.Errorf("%v was started without a row", a)
		}
	}
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
