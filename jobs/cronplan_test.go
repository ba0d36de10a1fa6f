package jobs

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// What is written by key stays so where the statistics are of a time at which nothing was open.
func TestCronStatementsFollowTheKey(t *testing.T) {
	pool, ctx := setup(t), t.Context()
	store, jobs, tick := storeTest(t, pool)
	if _, err := store.claim(ctx, 5, jobs, tick.at); err != nil {
		t.Fatal(err)
	}
	insert := func(outcome, from string) {
		t.Helper()
		mustExec(t, pool, `insert into pgsolo.cron_run (job, scheduled_at, term, outcome)
			select 'job-' || n, $1::timestamptz, 5, $2 from generate_series(1, 2000) n`, from, outcome)
	}
	insert(outcomeOK, "2026-01-01 00:00Z")
	mustExec(t, pool, `analyze pgsolo.cron_run`)
	insert(outcomeRunning, "2026-01-01 00:01Z")

	keys, ats, attempts := []string{"job-1"}, []time.Time{tick.at}, []int{1}
	for name, statement := range map[string]struct {
		sql  string
		args []any
	}{
		"start": {startRuns, []any{"main", 5, "here", keys, ats, attempts}},
		"settle": {settleRuns, []any{"main", 5, keys, ats, attempts, []string{outcomeOK}, []*time.Time{nil}, []string{""}, []string{""},
			[]*int{nil}, []*int{nil}}},
	} {
		tx := begin(t, pool)
		if _, err := tx.Exec(ctx, fenceCron, "main", 5); err != nil {
			t.Fatal(err)
		}
		rows, err := tx.Query(ctx, "explain "+statement.sql, statement.args...)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		plan := strings.Join(lines, "\n")
		if !strings.Contains(plan, "Index Scan using cron_run_pkey on cron_run r") || !strings.Contains(plan, "Index Cond: ((job = u.job) AND") {
			t.Errorf("%s:\n%s", name, plan)
		}
		_ = tx.Rollback(ctx)
	}
}
