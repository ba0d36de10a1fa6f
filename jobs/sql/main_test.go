package sql

import (
	"context"
	"os"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/cron"
	"github.com/pgsolo/pgsolo/jobs/eventlog"
)

func TestMain(m *testing.M) {
	os.Exit(pgtest.Main(m, pgtest.Migrating(jobs.DefaultSchema, jobs.Migrate)))
}

// setup returns a pool on a database of the test's own, which keeps notices.
func setup(t testing.TB, tables ...string) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	config.ConnConfig.OnNotice = KeepNotices
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	for _, table := range tables {
		if _, err := pool.Exec(t.Context(), table); err != nil {
			t.Fatal(err)
		}
	}
	return pool
}

// active is how many sessions of the database run a statement that contains the text.
func active(t testing.TB, pool *pgxpool.Pool, text string) int {
	t.Helper()
	return pgtest.Value[int](t, pool, `select count(*) from pg_stat_activity
		where datname = current_database() and pid <> pg_backend_pid() and state = 'active'
			and strpos(query, $1) > 0`, text)
}

// history returns what the first run of a cron job that has nothing but the statement leaves.
func history(t testing.TB, pool *pgxpool.Pool, statement Statement) (outcome, output, failure string) {
	t.Helper()
	scheduler, err := cron.New(cron.Options{Pool: pool, Jobs: []cron.Job{{
		Name: "c", Schedules: []string{"* * * * * *"},
		Run: func(ctx context.Context, tick cron.Tick) error { return statement.Run(ctx, tick.Invocation()) },
	}}})
	if err != nil {
		t.Fatal(err)
	}
	defer lead(t, scheduler)()
	pgtest.Eventually(t, "a run's end", func() bool {
		err := pool.QueryRow(t.Context(), `select outcome, coalesce(output, ''), coalesce(error, '')
			from pgsolo.cron_run where outcome in ('ok', 'failed') order by scheduled_at limit 1`).
			Scan(&outcome, &output, &failure)
		return err == nil
	})
	return outcome, output, failure
}

// leadHandlers runs the handlers of the options until end is called.
func leadHandlers(t testing.TB, options eventlog.Options) (end func()) {
	t.Helper()
	runner, err := eventlog.New(options)
	if err != nil {
		t.Fatal(err)
	}
	return lead(t, runner)
}

// lead runs an engine until end is called.
func lead(t testing.TB, engine jobs.Engine) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- engine.Run(ctx, jobs.Lead{Number: 1}) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}
