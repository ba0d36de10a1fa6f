package jobs

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
)

func TestCronStoreRefusesAnOlderTerm(t *testing.T) {
	pool, ctx := setup(t), t.Context()
	store := cronStore{pool: pool, schema: DefaultSchema, job: "job"}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	if _, err := store.claim(ctx, "* * * * * UTC", 5); err != nil {
		t.Fatal(err)
	}
	if mine, err := store.begin(ctx, at, 5); err != nil || !mine {
		t.Fatalf("begin: %t, %v", mine, err)
	}
	if _, err := store.claim(ctx, "* * * * * UTC", 6); err != nil {
		t.Fatal(err)
	}
	if n, err := store.interrupt(ctx, 6); err != nil || n != 1 {
		t.Fatalf("interrupted %d runs, %v", n, err)
	}

	dump := func() []string {
		t.Helper()
		rows, err := pool.Query(ctx, `select to_jsonb(j)::text from pgsolo.cron_job j union all select to_jsonb(r)::text from pgsolo.cron_run r`)
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
	for name, write := range map[string]func() error{
		"claim":       func() error { _, err := store.claim(ctx, "@daily UTC", 5); return err },
		"begin":       func() error { _, err := store.begin(ctx, at.Add(time.Minute), 5); return err },
		"begin again": func() error { _, err := store.begin(ctx, at, 5); return err },
		"skip":        func() error { return store.skip(ctx, at.Add(time.Minute), 5, "late") },
		"finish":      func() error { return store.finish(ctx, at, 5, runResult{outcome: outcomeOK}) },
		"unknown job": func() error {
			return cronStore{pool, DefaultSchema, "else"}.finish(ctx, at, 5, runResult{outcome: outcomeOK})
		},
		"unclaimed job": func() error { _, err := cronStore{pool, DefaultSchema, "else"}.begin(ctx, at, 5); return err },
	} {
		if err := write(); !errors.Is(err, ErrFenced) {
			t.Errorf("%s: got %v, want %v", name, err, ErrFenced)
		}
	}
	if diff := cmp.Diff(before, dump()); diff != "" {
		t.Errorf("the older term has written: -before +after\n%s", diff)
	}
}

// A claim that waits for the row lock of a tick being started must see that tick's row.
func TestCronStoreClaimDuringABegin(t *testing.T) {
	pool, ctx := setup(t), t.Context()
	store := cronStore{pool: pool, schema: DefaultSchema, job: "job"}
	if _, err := store.claim(ctx, "* * * * * UTC", 5); err != nil {
		t.Fatal(err)
	}
	tx := begin(t, pool)
	var held, mine bool
	if err := tx.QueryRow(ctx, beginCronRun, "job", time.Now(), 5).Scan(&held, &mine); err != nil || !held || !mine {
		t.Fatalf("begin: %t, %t, %v", held, mine, err)
	}
	interrupted := make(chan int64, 1)
	go func() {
		defer close(interrupted)
		if _, err := store.claim(ctx, "* * * * * UTC", 6); err != nil {
			t.Errorf("claim: %v", err)
			return
		}
		n, err := store.interrupt(ctx, 6)
		if err != nil {
			t.Errorf("interrupt: %v", err)
		}
		interrupted <- n
	}()
	eventually(t, "the claim to wait", func() bool {
		return value[int](t, pool, `select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`) == 1
	})
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if n := within(t, "the claim", interrupted); n != 1 {
		t.Errorf("ended %d runs, want 1", n)
	}
}

// What was committed without an answer is tried again.
func TestCronStoreRepeats(t *testing.T) {
	pool, ctx := setup(t), t.Context()
	store := cronStore{pool: pool, schema: DefaultSchema, job: "job"}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for range 2 {
		if _, err := store.claim(ctx, "* * * * * UTC", 5); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if mine, err := store.begin(ctx, at, 5); err != nil || !mine {
			t.Errorf("begin: %t, %v, want it to be ours", mine, err)
		}
	}
	for range 2 {
		if err := store.finish(ctx, at, 5, runResult{outcome: outcomeOK}); err != nil {
			t.Errorf("finish: %v", err)
		}
	}
	if mine, err := store.begin(ctx, at, 5); err != nil || mine {
		t.Errorf("begin after the end: %t, %v, want it refused", mine, err)
	}
	for range 2 {
		if err := store.skip(ctx, at.Add(time.Minute), 5, "late"); err != nil {
			t.Errorf("skip: %v", err)
		}
	}
	if n := value[int](t, pool, `select count(*) from pgsolo.cron_run`); n != 2 {
		t.Errorf("got %d rows, want 2", n)
	}
}

func TestCronStoreClaimBeginsNowOrGoesOn(t *testing.T) {
	pool, ctx := setup(t), t.Context()
	store := cronStore{pool: pool, schema: DefaultSchema, job: "job"}
	for _, test := range []struct {
		name, schedule string
		fresh          bool
	}{
		{"new job", "@daily UTC", true},
		{"same schedule", "@daily UTC", false},
		{"another schedule", "@hourly UTC", true},
	} {
		before := value[time.Time](t, pool, `select date_trunc('second', clock_timestamp())`)
		got, err := store.claim(ctx, test.schedule, 5)
		if err != nil {
			t.Fatal(err)
		}
		if now := !got.lastAt.Before(before); got.fresh != test.fresh || now != test.fresh {
			t.Errorf("%s: fresh %t, last tick at %s, now %s", test.name, got.fresh, got.lastAt, before)
		}
		if _, err := pool.Exec(ctx, `update pgsolo.cron_job set last_at = last_at - interval '1 hour'`); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNewCronJobNamesTheField(t *testing.T) {
	run := func(context.Context, Tick) error { return nil }
	for _, test := range []struct {
		cron Cron
		want string
	}{
		{Cron{Schedule: "@daily", Run: run}, `cron "": Name is required`},
		{Cron{Name: "x", Schedule: "@daily"}, `cron "x": Run is required`},
		{Cron{Name: "x", Run: run}, `cron "x": Schedule "": empty: ` + wantSchedule},
		{Cron{Name: "x", Run: run, Schedule: "1 2"}, `cron "x": Schedule "1 2": want 5 or 6 fields, got 2`},
		{Cron{Name: "x", Run: run, Schedule: "@daily", Timeout: -1}, `cron "x": Timeout -1ns is negative`},
		{Cron{Name: "x", Run: run, Schedule: "@daily", StartingDeadline: -1}, `cron "x": StartingDeadline -1ns is negative`},
		{Cron{Name: "x", Run: run, Schedule: "@daily", Missed: "some"}, `cron "x": Missed "some": want skip, once or all`},
	} {
		if _, err := newCronJob(test.cron, nil, DefaultSchema, nil); err == nil || err.Error() != test.want {
			t.Errorf("got %v, want %s", err, test.want)
		}
	}
}
