package rows

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs/admin"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// setup returns a store with one job, "job", and a tick of it.
func setup(t testing.TB, pool *pgxpool.Pool) (store Store, known []Job, tick *Run) {
	t.Helper()
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	tick = &Run{Job: "job", At: at, Cause: Schedule, Attempt: 1, Result: Result{Outcome: Running}}
	return storeOf(pool, "main"), []Job{{Name: "job", Schedule: "0 * * * * * UTC", Enabled: true}}, tick
}

func storeOf(pool *pgxpool.Pool, group string) Store {
	return Store{DB: pg.DB{Pool: pool, Schema: pg.DefaultSchema}, Group: group}
}

// later is the same for a later tick.
func (r *Run) later(d time.Duration, outcome string) *Run {
	return &Run{Job: r.Job, At: r.At.Add(d), Cause: r.Cause, Attempt: 1, Result: Result{Outcome: outcome}}
}

func TestRefusesAnOlderTerm(t *testing.T) {
	pool, ctx := jobstest.Pool(t), t.Context()
	store, known, tick := setup(t, pool)
	queued := tick.later(time.Minute, Queued)
	if _, err := store.Claim(ctx, 5, known, tick.At, takeAll); err != nil {
		t.Fatal(err)
	}
	if mine, _, err := store.Begin(ctx, 5, "here", []*Run{tick, queued}, nil); err != nil || len(mine) != 2 {
		t.Fatalf("begin: %v, %v", mine, err)
	}
	if left, err := store.Claim(ctx, 6, known, tick.At, takeAll); err != nil || len(left.Open) != 2 {
		t.Fatalf("claim: %+v, %v", left, err)
	}

	dump := func() []string {
		t.Helper()
		rows, err := pool.Query(ctx, `select to_jsonb(j)::text from pgsolo.cron_job j union all select to_jsonb(r)::text
			from pgsolo.cron_run r
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
	begin := func(inserts, starts []*Run) error {
		_, _, err := store.Begin(ctx, 5, "here", inserts, starts)
		return err
	}
	for name, write := range map[string]func() error{
		"claim": func() error {
			_, err := store.Claim(ctx, 5, known, tick.At.Add(time.Hour), takeAll)
			return err
		},
		"begin":         func() error { return begin([]*Run{tick.later(2*time.Minute, Running)}, nil) },
		"begin again":   func() error { return begin([]*Run{tick}, nil) },
		"skip":          func() error { return begin([]*Run{tick.later(2*time.Minute, Skipped)}, nil) },
		"start":         func() error { return begin(nil, []*Run{queued}) },
		"settle":        func() error { _, err := store.Settle(ctx, 5, []*Run{tick.later(0, OK)}); return err },
		"settle queued": func() error { _, err := store.Settle(ctx, 5, []*Run{queued.later(0, Skipped)}); return err },
		"other group": func() error {
			_, err := storeOf(pool, "else").Settle(ctx, 6, []*Run{tick.later(0, OK)})
			return err
		},
	} {
		if err := write(); !errors.Is(err, pg.ErrFenced) {
			t.Errorf("%s: got %v, want %v", name, err, pg.ErrFenced)
		}
	}
	if diff := cmp.Diff(before, dump()); diff != "" {
		t.Errorf("the older term has written: -before +after\n%s", diff)
	}
}

// A claim that waits for the transaction in which a tick is begun must see that tick's row.
func TestClaimDuringABegin(t *testing.T) {
	pool, ctx := jobstest.Pool(t), t.Context()
	store, known, tick := setup(t, pool)
	if _, err := store.Claim(ctx, 5, known, tick.At, takeAll); err != nil {
		t.Fatal(err)
	}
	tx := jobstest.Begin(t, pool)
	if _, err := tx.Exec(ctx, fence, "main", 5); err != nil {
		t.Fatal(err)
	}
	claimed := make(chan []Open, 1)
	go func() {
		defer close(claimed)
		left, err := store.Claim(ctx, 6, known, tick.At, takeAll)
		if err != nil {
			t.Errorf("claim: %v", err)
			return
		}
		claimed <- left.Open
	}()
	pgtest.Eventually(t, "the claim to wait", func() bool {
		return pgtest.Value[int](t, pool,
			`select count(*) from pg_stat_activity where datname = current_database()
				and wait_event_type = 'Lock'`) == 1
	})
	if _, err := tx.Exec(ctx, insertRuns, "main", 5, "here", []string{"job"}, []time.Time{tick.At}, []string{Schedule},
		[]string{Running}, []string{""}); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if open := pgtest.Within(t, "the claim", claimed); len(open) != 1 || open[0].Outcome != Running ||
		open[0].Term != 5 {
		t.Errorf("found %+v, want the tick that was just begun", open)
	}
}

// What was committed without an answer is tried again.
func TestRepeats(t *testing.T) {
	pool, ctx := jobstest.Pool(t), t.Context()
	store, known, tick := setup(t, pool)
	skipped, queued := tick.later(time.Minute, Skipped), tick.later(2*time.Minute, Queued)
	for range 2 {
		if _, err := store.Claim(ctx, 5, known, tick.At, takeAll); err != nil {
			t.Fatal(err)
		}
	}
	wantMine := func(what string, want int, inserts, starts []*Run) {
		t.Helper()
		mine, _, err := store.Begin(ctx, 5, "here", inserts, starts)
		if err != nil || len(mine) != want {
			t.Errorf("%s: %v, %v, want %d", what, mine, err, want)
		}
	}
	wantMine("begin", 3, []*Run{tick, skipped, queued}, nil)
	wantMine("begin again", 2, []*Run{tick, skipped, queued}, nil) // one that is closed is no run of this term any more
	for range 2 {
		wantMine("start", 1, nil, []*Run{queued})
	}
	for range 2 {
		if _, err := store.Settle(ctx, 5, []*Run{tick.later(0, OK)}); err != nil {
			t.Errorf("settle: %v", err)
		}
	}
	wantMine("begin after the end", 0, []*Run{tick}, nil)
	wantMine("start after the end", 0, nil, []*Run{tick})
	if n := pgtest.Value[int](t, pool, `select count(*) from pgsolo.cron_run`); n != 3 {
		t.Errorf("got %d rows, want 3", n)
	}
}

func TestClaimBeginsNowOrGoesOn(t *testing.T) {
	pool, ctx := jobstest.Pool(t), t.Context()
	store, known, tick := setup(t, pool)
	now := tick.At
	for _, test := range []struct {
		name   string
		change func(*Job)
		sql    string
		fresh  bool
	}{
		{"new job", func(*Job) {}, "", true},
		{"same schedule", func(*Job) {}, "", false},
		{"another schedule", func(j *Job) { j.Schedule = "0 0 * * * * UTC" }, "", true},
		{"disabled", func(j *Job) { j.Enabled = false }, "", false},
		{"still disabled", func(*Job) {}, "", false},
		{"enabled", func(j *Job) { j.Enabled = true }, "", true},
		{"was forgotten", func(*Job) {}, "update pgsolo.cron_job set forgotten_at = now()", true},
		{"has moved", func(*Job) {}, `update pgsolo.cron_job set forgotten_at = '2026-03-01 19:55Z', "group" = 'else'`,
			false},
		{"was forgotten elsewhere", func(*Job) {},
			`update pgsolo.cron_job set forgotten_at = '2026-03-01 18:30Z', "group" = 'else'`, true},
		{"from another group", func(*Job) {}, `update pgsolo.cron_job set "group" = 'else'`, false},
		{"has a tick", func(*Job) {}, `insert into pgsolo.cron_run (job, scheduled_at, term)
			values ('job', '2026-03-01 22:30Z', 5)`, false},
	} {
		if test.sql != "" {
			if _, err := pool.Exec(ctx, test.sql); err != nil {
				t.Fatal(err)
			}
		}
		now = now.Add(time.Hour)
		test.change(&known[0])
		left, err := store.Claim(ctx, 5, known, now, takeAll)
		found := left.Known
		if err != nil || len(found) != 1 {
			t.Fatalf("%s: %v, %v", test.name, found, err)
		}
		if fresh := found[0].Last.Equal(now); fresh != test.fresh {
			t.Errorf("%s: last tick at %s, now %s", test.name, found[0].Last, now)
		}
		if test.name == "has a tick" && found[0].Last.UTC().Hour() != 22 {
			t.Errorf("last tick at %s, want 22:30", found[0].Last)
		}
	}
	left, err := store.Claim(ctx, 5, nil, now, takeAll)
	if err != nil || len(left.Known)+len(left.Open) != 0 {
		t.Errorf("without jobs: %+v, %v", left, err)
	}
	for _, want := range []string{Running, Interrupted} {
		if err := store.CloseForgotten(ctx, now.Add(movedFor)); err != nil {
			t.Fatal(err)
		}
		if outcome := pgtest.Value[string](t, pool, `select outcome from pgsolo.cron_run`); outcome != want {
			t.Errorf("the run of a job that was removed is %s, want %s", outcome, want)
		}
		now = now.Add(time.Second)
	}
}

// A pause that is not committed holds up no leader that knows the job already.
func TestClaimBesideAnOpenPause(t *testing.T) {
	pool := jobstest.Pool(t)
	store, known, tick := setup(t, pool)
	if _, err := store.Claim(t.Context(), 1, known, tick.At, takeAll); err != nil {
		t.Fatal(err)
	}
	tx := jobstest.Begin(t, pool)
	if err := (admin.CronJobs{}).Pause(t.Context(), tx, "job"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), pgtest.Patience)
	defer cancel()
	if _, err := store.Claim(ctx, 2, known, tick.At, takeAll); err != nil {
		t.Errorf("claim: %v", err)
	}
}
