package rows

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
)

// What is written by key stays so, whatever the statistics say: of tables that are empty, or were when they were
// analyzed, or in which nothing was open then.
func TestStatementsFollowTheKey(t *testing.T) {
	var (
		scan  = regexp.MustCompile(`Scan .*on (cron_|.*_pkey|.*_open)`)
		byKey = regexp.MustCompile(`Bitmap (Heap Scan on|Index Scan on .*_pkey )`)
	)
	pool, ctx := jobstest.Pool(t), t.Context()
	store, known, tick := setup(t, pool)
	if _, err := store.Claim(ctx, 5, known, tick.At, takeAll); err != nil {
		t.Fatal(err)
	}
	insert := func(outcome, from string) {
		t.Helper()
		jobstest.MustExec(t, pool, `insert into pgsolo.cron_run (job, scheduled_at, term, outcome)
			select 'job-' || n, $1::timestamptz, 5, $2 from generate_series(1, 2000) n`, from, outcome)
	}
	for _, state := range []struct {
		name  string
		reach func()
	}{
		{"new", func() {}},
		{"analyzed when empty", func() {
			jobstest.MustExec(t, pool, `analyze pgsolo.cron_run`)
			insert(OK, "2026-01-01 00:00Z")
		}},
		{"analyzed with nothing open", func() {
			jobstest.MustExec(t, pool, `analyze pgsolo.cron_run`)
			insert(Running, "2026-01-01 00:01Z")
		}},
	} {
		state.reach()
		for name, sql := range map[string]string{
			"insert": insertRuns, "start": startRuns, "settle": settleRuns, "locked": selectLocked,
		} {
			plan := planOf(t, jobstest.Begin(t, pool), sql)
			for _, line := range strings.Split(plan, "\n") {
				if scan.MatchString(line) && !byKey.MatchString(line) {
					t.Errorf("%s, %s: %s in\n%s", state.name, name, line, plan)
				}
			}
		}
	}
}

// planOf returns the plan of a statement that is made once for all arguments.
func planOf(t *testing.T, tx pgx.Tx, sql string) string {
	t.Helper()
	defer func() { _ = tx.Rollback(t.Context()) }()
	const generic = `select ` + planByKey + `, set_config('plan_cache_mode', 'force_generic_plan', true)`
	if _, err := tx.Exec(t.Context(), generic); err != nil {
		t.Fatal(err)
	}
	parameters := 0
	for strings.Contains(sql, fmt.Sprintf("$%d", parameters+1)) {
		parameters++
	}
	if _, err := tx.Exec(t.Context(), "prepare planned as "+sql); err != nil {
		t.Fatal(err)
	}
	defer jobstest.MustExec(t, tx.Conn(), "deallocate planned")
	rows, err := tx.Query(t.Context(), "explain execute planned (null"+strings.Repeat(", null", parameters-1)+")")
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}
