package cron

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/jobstest"
	"github.com/pgsolo/pgsolo/jobs/schedule"
)

// storeTest is a store with one job, "job", and a tick of it.
func storeTest(t testing.TB, pool *pgxpool.Pool) (rows store, known []*job, tick *run) {
	t.Helper()
	one, err := newJob(Job{
		Name: "job", Schedules: []string{"* * * * *"}, Run: func(context.Context, Tick) error { return nil },
	}, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	tick = &run{job: &jobTerm{job: one}, at: at, cause: causeSchedule, attempt: 1, result: runResult{outcome: outcomeRunning}}
	return store{pool: pool, schema: jobs.DefaultSchema, group: "main"}, []*job{one}, tick
}

// later is the same for a later tick.
func (r *run) later(d time.Duration, outcome string) *run {
	return &run{job: r.job, at: r.at.Add(d), cause: r.cause, attempt: 1, result: runResult{outcome: outcome}}
}

func TestCronStoreRefusesAnOlderTerm(t *testing.T) {
	pool, ctx := jobstest.Pool(t), t.Context()
	rows, known, tick := storeTest(t, pool)
	queued := tick.later(time.Minute, outcomeQueued)
	if _, err := rows.claim(ctx, 5, known, tick.at); err != nil {
		t.Fatal(err)
	}
	if mine, _, err := rows.begin(ctx, 5, "here", []*run{tick, queued}, nil); err != nil || len(mine) != 2 {
		t.Fatalf("begin: %v, %v", mine, err)
	}
	if left, err := rows.claim(ctx, 6, known, tick.at); err != nil || len(left.open) != 2 {
		t.Fatalf("claim: %+v, %v", left, err)
	}

	dump := func() []string {
		t.Helper()
		rows, err := pool.Query(ctx, `select to_jsonb(j)::text from pgsolo.cron_job j union all select to_jsonb(r)::text from pgsolo.cron_run r
			union all select to_jsonb(l)::text from pgsolo.cron_leader l`)
		if err != nil {
			t.Fatal(err)
		}
		all, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	before := dump()
	begin := func(inserts, starts []*run) error {
		_, _, err := rows.begin(ctx, 5, "here", inserts, starts)
		return err
	}
	for name, write := range map[string]func() error{
		"claim":         func() error { _, err := rows.claim(ctx, 5, known, tick.at.Add(time.Hour)); return err },
		"begin":         func() error { return begin([]*run{tick.later(2*time.Minute, outcomeRunning)}, nil) },
		"begin again":   func() error { return begin([]*run{tick}, nil) },
		"skip":          func() error { return begin([]*run{tick.later(2*time.Minute, outcomeSkipped)}, nil) },
		"start":         func() error { return begin(nil, []*run{queued}) },
		"settle":        func() error { _, err := rows.settle(ctx, 5, []*run{tick.later(0, outcomeOK)}); return err },
		"settle queued": func() error { _, err := rows.settle(ctx, 5, []*run{queued.later(0, outcomeSkipped)}); return err },
		"other group": func() error {
			_, err := store{pool: pool, schema: jobs.DefaultSchema, group: "else"}.settle(ctx, 6, []*run{tick.later(0, outcomeOK)})
			return err
		},
	} {
		if err := write(); !errors.Is(err, jobs.ErrFenced) {
			t.Errorf("%s: got %v, want %v", name, err, jobs.ErrFenced)
		}
	}
	if diff := cmp.Diff(before, dump()); diff != "" {
		t.Errorf("the older term has written: -before +after\n%s", diff)
	}
}

// A claim that waits for the transaction in which a tick is begun must see that tick's row.
func TestCronStoreClaimDuringABegin(t *testing.T) {
	pool, ctx := jobstest.Pool(t), t.Context()
	rows, known, tick := storeTest(t, pool)
	if _, err := rows.claim(ctx, 5, known, tick.at); err != nil {
		t.Fatal(err)
	}
	tx := jobstest.Begin(t, pool)
	if _, err := tx.Exec(ctx, fenceCron, "main", 5); err != nil {
		t.Fatal(err)
	}
	claimed := make(chan []openRun, 1)
	go func() {
		defer close(claimed)
		left, err := rows.claim(ctx, 6, known, tick.at)
		if err != nil {
			t.Errorf("claim: %v", err)
			return
		}
		claimed <- left.open
	}()
	pgtest.Eventually(t, "the claim to wait", func() bool {
		return pgtest.Value[int](t, pool, `select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`) == 1
	})
	if _, err := tx.Exec(ctx, insertRuns, "main", 5, "here", []string{"job"}, []time.Time{tick.at}, []string{causeSchedule},
		[]string{outcomeRunning}, []string{""}); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if open := pgtest.Within(t, "the claim", claimed); len(open) != 1 || open[0].outcome != outcomeRunning || open[0].term != 5 {
		t.Errorf("found %+v, want the tick that was just begun", open)
	}
}

// What was committed without an answer is tried again.
func TestCronStoreRepeats(t *testing.T) {
	pool, ctx := jobstest.Pool(t), t.Context()
	rows, known, tick := storeTest(t, pool)
	skipped, queued := tick.later(time.Minute, outcomeSkipped), tick.later(2*time.Minute, outcomeQueued)
	for range 2 {
		if _, err := rows.claim(ctx, 5, known, tick.at); err != nil {
			t.Fatal(err)
		}
	}
	wantMine := func(what string, want int, inserts, starts []*run) {
		t.Helper()
		mine, _, err := rows.begin(ctx, 5, "here", inserts, starts)
		if err != nil || len(mine) != want {
			t.Errorf("%s: %v, %v, want %d", what, mine, err, want)
		}
	}
	wantMine("begin", 3, []*run{tick, skipped, queued}, nil)
	wantMine("begin again", 2, []*run{tick, skipped, queued}, nil) // one that is closed is nobody's any more
	for range 2 {
		wantMine("start", 1, nil, []*run{queued})
	}
	for range 2 {
		if _, err := rows.settle(ctx, 5, []*run{tick.later(0, outcomeOK)}); err != nil {
			t.Errorf("settle: %v", err)
		}
	}
	wantMine("begin after the end", 0, []*run{tick}, nil)
	wantMine("start after the end", 0, nil, []*run{tick})
	if n := pgtest.Value[int](t, pool, `select count(*) from pgsolo.cron_run`); n != 3 {
		t.Errorf("got %d rows, want 3", n)
	}
}

func TestCronStoreClaimBeginsNowOrGoesOn(t *testing.T) {
	pool, ctx := jobstest.Pool(t), t.Context()
	rows, known, tick := storeTest(t, pool)
	now := tick.at
	for _, test := range []struct {
		name   string
		change func(*job)
		sql    string
		fresh  bool
	}{
		{"new job", func(*job) {}, "", true},
		{"same schedule", func(*job) {}, "", false},
		{"another schedule", func(j *job) { j.schedules, _ = schedule.ParseAll([]string{"@hourly"}, nil) }, "", true},
		{"disabled", func(j *job) { j.Disabled = true }, "", false},
		{"still disabled", func(*job) {}, "", false},
		{"enabled", func(j *job) { j.Disabled = false }, "", true},
		{"was forgotten", func(*job) {}, "update pgsolo.cron_job set forgotten_at = now()", true},
		{"has moved", func(*job) {}, `update pgsolo.cron_job set forgotten_at = '2026-03-01 19:55Z', "group" = 'else'`, false},
		{"was forgotten elsewhere", func(*job) {}, `update pgsolo.cron_job set forgotten_at = '2026-03-01 18:30Z', "group" = 'else'`, true},
		{"from another group", func(*job) {}, `update pgsolo.cron_job set "group" = 'else'`, false},
		{"has a tick", func(*job) {}, `insert into pgsolo.cron_run (job, scheduled_at, term) values ('job', '2026-03-01 22:30Z', 5)`, false},
	} {
		if test.sql != "" {
			if _, err := pool.Exec(ctx, test.sql); err != nil {
				t.Fatal(err)
			}
		}
		now = now.Add(time.Hour)
		test.change(known[0])
		left, err := rows.claim(ctx, 5, known, now)
		found := left.known
		if err != nil || len(found) != 1 {
			t.Fatalf("%s: %v, %v", test.name, found, err)
		}
		if fresh := found[0].last.Equal(now); fresh != test.fresh {
			t.Errorf("%s: last tick at %s, now %s", test.name, found[0].last, now)
		}
		if test.name == "has a tick" && found[0].last.UTC().Hour() != 22 {
			t.Errorf("last tick at %s, want 22:30", found[0].last)
		}
	}
	left, err := rows.claim(ctx, 5, nil, now)
	if err != nil || len(left.known)+len(left.open) != 0 {
		t.Errorf("without jobs: %+v, %v", left, err)
	}
	closing := &Scheduler{store: rows, now: func() time.Time { return now.Add(movedFor) }}
	for _, want := range []string{outcomeRunning, outcomeInterrupted} {
		if err := closing.closeForgotten(ctx); err != nil {
			t.Fatal(err)
		}
		if outcome := pgtest.Value[string](t, pool, `select outcome from pgsolo.cron_run`); outcome != want {
			t.Errorf("the run of a job that was removed is %s, want %s", outcome, want)
		}
		now = now.Add(time.Second)
	}
}

func TestNewCronJobNamesTheField(t *testing.T) {
	run := func(context.Context, Tick) error { return nil }
	daily := []string{"@daily"}
	for _, test := range []struct {
		cron Job
		want string
	}{
		{Job{Schedules: daily, Run: run}, `cron "": Name is required`},
		{Job{Name: "x", Schedules: daily}, `cron "x": Run is required`},
		{Job{Name: "x", Run: run}, `cron "x": Schedules is required`},
		{Job{Name: "x", Run: run, Schedules: daily, Timeout: -1}, `cron "x": Timeout -1ns is negative`},
		{Job{Name: "x", Run: run, Schedules: daily, Jitter: -1}, `cron "x": Jitter -1ns is negative`},
		{Job{Name: "x", Run: run, Schedules: daily, MaxCatchUp: -1}, `cron "x": MaxCatchUp -1 is negative`},
		{Job{Name: "x", Run: run, Schedules: daily, StartingDeadline: -1}, `cron "x": StartingDeadline -1ns is negative`},
		{Job{Name: "x", Run: run, Schedules: daily, Missed: "some"}, `cron "x": Missed "some": want skip, once or all`},
		{Job{Name: "x", Run: run, Schedules: daily, Overlap: "some"}, `cron "x": Overlap "some": want skip, queue, replace or allow`},
		{Job{Name: "x", Run: run, Schedules: daily, OnInterrupt: "some"}, `cron "x": OnInterrupt "some": want abandon or retry`},
		{Job{Name: "x", Run: run, Schedules: daily, Retry: jobs.Retry{Attempts: -1}}, `cron "x": Retry.Attempts -1 is negative`},
	} {
		if _, err := newJob(test.cron, hclog.NewNullLogger()); err == nil || err.Error() != test.want {
			t.Errorf("got %v, want %s", err, test.want)
		}
	}
}
