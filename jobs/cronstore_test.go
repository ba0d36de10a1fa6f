package jobs

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
)

// storeTest is a store with one job, "job", and a tick of it.
func storeTest(t testing.TB, pool *pgxpool.Pool) (store cronStore, jobs []*cronJob, tick *cronRun) {
	t.Helper()
	job, err := newCronJob(Cron{
		Name: "job", Schedules: []string{"* * * * *"}, Run: func(context.Context, Tick) error { return nil },
	}, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	tick = &cronRun{job: &jobTerm{cronJob: job}, at: at, cause: causeSchedule, attempt: 1, result: runResult{outcome: outcomeRunning}}
	return cronStore{pool: pool, schema: DefaultSchema, group: "main"}, []*cronJob{job}, tick
}

// later is the same for a later tick.
func (r *cronRun) later(d time.Duration, outcome string) *cronRun {
	return &cronRun{job: r.job, at: r.at.Add(d), cause: r.cause, attempt: 1, result: runResult{outcome: outcome}}
}

func TestCronStoreRefusesAnOlderTerm(t *testing.T) {
	pool, ctx := setup(t), t.Context()
	store, jobs, tick := storeTest(t, pool)
	queued := tick.later(time.Minute, outcomeQueued)
	if _, err := store.claim(ctx, 5, jobs, tick.at); err != nil {
		t.Fatal(err)
	}
	if mine, _, err := store.begin(ctx, 5, "here", []*cronRun{tick, queued}, nil); err != nil || len(mine) != 2 {
		t.Fatalf("begin: %v, %v", mine, err)
	}
	if left, err := store.claim(ctx, 6, jobs, tick.at); err != nil || len(left.open) != 2 {
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
	begin := func(inserts, starts []*cronRun) error {
		_, _, err := store.begin(ctx, 5, "here", inserts, starts)
		return err
	}
	for name, write := range map[string]func() error{
		"claim":         func() error { _, err := store.claim(ctx, 5, jobs, tick.at.Add(time.Hour)); return err },
		"begin":         func() error { return begin([]*cronRun{tick.later(2*time.Minute, outcomeRunning)}, nil) },
		"begin again":   func() error { return begin([]*cronRun{tick}, nil) },
		"skip":          func() error { return begin([]*cronRun{tick.later(2*time.Minute, outcomeSkipped)}, nil) },
		"start":         func() error { return begin(nil, []*cronRun{queued}) },
		"settle":        func() error { _, err := store.settle(ctx, 5, []*cronRun{tick.later(0, outcomeOK)}); return err },
		"settle queued": func() error { _, err := store.settle(ctx, 5, []*cronRun{queued.later(0, outcomeSkipped)}); return err },
		"other group": func() error {
			_, err := cronStore{pool: pool, schema: DefaultSchema, group: "else"}.settle(ctx, 6, []*cronRun{tick.later(0, outcomeOK)})
			return err
		},
	} {
		if err := write(); !errors.Is(err, ErrFenced) {
			t.Errorf("%s: got %v, want %v", name, err, ErrFenced)
		}
	}
	if diff := cmp.Diff(before, dump()); diff != "" {
		t.Errorf("the older term has written: -before +after\n%s", diff)
	}
}

// A claim that waits for the transaction in which a tick is begun must see that tick's row.
func TestCronStoreClaimDuringABegin(t *testing.T) {
	pool, ctx := setup(t), t.Context()
	store, jobs, tick := storeTest(t, pool)
	if _, err := store.claim(ctx, 5, jobs, tick.at); err != nil {
		t.Fatal(err)
	}
	tx := begin(t, pool)
	if _, err := tx.Exec(ctx, fenceCron, "main", 5); err != nil {
		t.Fatal(err)
	}
	claimed := make(chan []openRun, 1)
	go func() {
		defer close(claimed)
		left, err := store.claim(ctx, 6, jobs, tick.at)
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
	pool, ctx := setup(t), t.Context()
	store, jobs, tick := storeTest(t, pool)
	skipped, queued := tick.later(time.Minute, outcomeSkipped), tick.later(2*time.Minute, outcomeQueued)
	for range 2 {
		if _, err := store.claim(ctx, 5, jobs, tick.at); err != nil {
			t.Fatal(err)
		}
	}
	wantMine := func(what string, want int, inserts, starts []*cronRun) {
		t.Helper()
		mine, _, err := store.begin(ctx, 5, "here", inserts, starts)
		if err != nil || len(mine) != want {
			t.Errorf("%s: %v, %v, want %d", what, mine, err, want)
		}
	}
	wantMine("begin", 3, []*cronRun{tick, skipped, queued}, nil)
	wantMine("begin again", 2, []*cronRun{tick, skipped, queued}, nil) // one that is closed is nobody's any more
	for range 2 {
		wantMine("start", 1, nil, []*cronRun{queued})
	}
	for range 2 {
		if _, err := store.settle(ctx, 5, []*cronRun{tick.later(0, outcomeOK)}); err != nil {
			t.Errorf("settle: %v", err)
		}
	}
	wantMine("begin after the end", 0, []*cronRun{tick}, nil)
	wantMine("start after the end", 0, nil, []*cronRun{tick})
	if n := pgtest.Value[int](t, pool, `select count(*) from pgsolo.cron_run`); n != 3 {
		t.Errorf("got %d rows, want 3", n)
	}
}

func TestCronStoreClaimBeginsNowOrGoesOn(t *testing.T) {
	pool, ctx := setup(t), t.Context()
	store, jobs, tick := storeTest(t, pool)
	now := tick.at
	for _, test := range []struct {
		name   string
		change func(*cronJob)
		sql    string
		fresh  bool
	}{
		{"new job", func(*cronJob) {}, "", true},
		{"same schedule", func(*cronJob) {}, "", false},
		{"another schedule", func(j *cronJob) { j.schedules, _ = ParseSchedules([]string{"@hourly"}, nil) }, "", true},
		{"disabled", func(j *cronJob) { j.Disabled = true }, "", false},
		{"still disabled", func(*cronJob) {}, "", false},
		{"enabled", func(j *cronJob) { j.Disabled = false }, "", true},
		{"was forgotten", func(*cronJob) {}, "update pgsolo.cron_job set forgotten_at = now()", true},
		{"has moved", func(*cronJob) {}, `update pgsolo.cron_job set forgotten_at = '2026-03-01 19:55Z', "group" = 'else'`, false},
		{"was forgotten elsewhere", func(*cronJob) {}, `update pgsolo.cron_job set forgotten_at = '2026-03-01 18:30Z', "group" = 'else'`, true},
		{"from another group", func(*cronJob) {}, `update pgsolo.cron_job set "group" = 'else'`, false},
		{"has a tick", func(*cronJob) {}, `insert into pgsolo.cron_run (job, scheduled_at, term) values ('job', '2026-03-01 22:30Z', 5)`, false},
	} {
		if test.sql != "" {
			if _, err := pool.Exec(ctx, test.sql); err != nil {
				t.Fatal(err)
			}
		}
		now = now.Add(time.Hour)
		test.change(jobs[0])
		left, err := store.claim(ctx, 5, jobs, now)
		known := left.known
		if err != nil || len(known) != 1 {
			t.Fatalf("%s: %v, %v", test.name, known, err)
		}
		if fresh := known[0].last.Equal(now); fresh != test.fresh {
			t.Errorf("%s: last tick at %s, now %s", test.name, known[0].last, now)
		}
		if test.name == "has a tick" && known[0].last.UTC().Hour() != 22 {
			t.Errorf("last tick at %s, want 22:30", known[0].last)
		}
	}
	left, err := store.claim(ctx, 5, nil, now)
	if err != nil || len(left.known)+len(left.open) != 0 {
		t.Errorf("without jobs: %+v, %v", left, err)
	}
	closing := &scheduler{store: store, now: func() time.Time { return now.Add(movedFor) }}
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
		cron Cron
		want string
	}{
		{Cron{Schedules: daily, Run: run}, `cron "": Name is required`},
		{Cron{Name: "x", Schedules: daily}, `cron "x": Run is required`},
		{Cron{Name: "x", Run: run}, `cron "x": Schedules is required`},
		{Cron{Name: "x", Run: run, Schedules: daily, Timeout: -1}, `cron "x": Timeout -1ns is negative`},
		{Cron{Name: "x", Run: run, Schedules: daily, Jitter: -1}, `cron "x": Jitter -1ns is negative`},
		{Cron{Name: "x", Run: run, Schedules: daily, MaxCatchUp: -1}, `cron "x": MaxCatchUp -1 is negative`},
		{Cron{Name: "x", Run: run, Schedules: daily, StartingDeadline: -1}, `cron "x": StartingDeadline -1ns is negative`},
		{Cron{Name: "x", Run: run, Schedules: daily, Missed: "some"}, `cron "x": Missed "some": want skip, once or all`},
		{Cron{Name: "x", Run: run, Schedules: daily, Overlap: "some"}, `cron "x": Overlap "some": want skip, queue, replace or allow`},
		{Cron{Name: "x", Run: run, Schedules: daily, OnInterrupt: "some"}, `cron "x": OnInterrupt "some": want abandon or retry`},
		{Cron{Name: "x", Run: run, Schedules: daily, Retry: Retry{Attempts: -1}}, `cron "x": Retry.Attempts -1 is negative`},
	} {
		if _, err := newCronJob(test.cron, hclog.NewNullLogger()); err == nil || err.Error() != test.want {
			t.Errorf("got %v, want %s", err, test.want)
		}
	}
}
