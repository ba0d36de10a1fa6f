package cron

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/admin"
)

const day = 24 * time.Hour

// past is a row of a history: so many days ago.
type past struct {
	ago     int
	outcome string
	cause   string
}

func TestHistoryIsPruned(t *testing.T) {
	for _, test := range []struct {
		name    string
		history History
		rows    []past
		want    []int // what is kept, by its age
	}{
		{"by count", History{Runs: 2, MaxAge: -1, FailedRuns: 1, FailedMaxAge: -1}, []past{
			{1, "ok", "schedule"}, {2, "failed", "schedule"}, {3, "skipped", "schedule"}, {4, "replaced", "schedule"},
			{5, "missed", "catch_up"},
			{6, "ok", "manual"},
		}, []int{1, 2, 3, 4}},
		{"skipped ticks for themselves", History{Runs: 2, MaxAge: -1, FailedRuns: 2, FailedMaxAge: -1}, []past{
			{1, "skipped", "schedule"}, {2, "skipped", "schedule"}, {3, "skipped", "schedule"}, {4, "ok", "schedule"},
			{5, "ok", "schedule"},
		}, []int{1, 2, 4, 5}},
		{"failures for themselves", History{Runs: 1, MaxAge: -1, FailedRuns: 3, FailedMaxAge: -1}, []past{
			{1, "ok", "schedule"}, {2, "ok", "schedule"}, {3, "failed", "schedule"}, {4, "interrupted", "manual"},
			{5, "missed", "schedule"},
			{6, "failed", "schedule"},
		}, []int{1, 3, 4, 5}},
		{"by age", History{Runs: -1, MaxAge: 3*day + 1, FailedRuns: -1, FailedMaxAge: 5*day + 1}, []past{
			{1, "ok", "schedule"}, {3, "ok", "schedule"}, {4, "ok", "schedule"},
			{5, "failed", "schedule"},
			{6, "failed", "schedule"},
		}, []int{1, 3, 5}},
		{"the latest tick stays", History{Runs: 1, MaxAge: day, FailedRuns: 1, FailedMaxAge: day}, []past{
			{5, "ok", "manual"}, {6, "ok", "schedule"}, {7, "failed", "schedule"},
		}, []int{6}},
		{"what is open stays", History{Runs: 1, MaxAge: day, FailedRuns: 1, FailedMaxAge: day}, []past{
			{5, "running", "schedule"}, {6, "retrying", "schedule"}, {7, "queued", "manual"}, {8, "ok", "schedule"},
			{9, "ok", "schedule"},
		}, []int{5, 6, 7, 8}},
		{"everything stays", History{Runs: -1, MaxAge: -1, FailedRuns: -1, FailedMaxAge: -1}, []past{
			{1, "ok", "schedule"}, {9999, "ok", "schedule"}, {9998, "failed", "manual"},
		}, []int{1, 9998, 9999}},
		{"defaults", History{}, []past{
			{29, "ok", "schedule"}, {31, "ok", "schedule"}, {89, "failed", "schedule"}, {91, "failed", "schedule"},
		}, []int{29, 89}},
	} {
		t.Run(test.name, func(t *testing.T) {
			run, _ := calls(t)
			c := setupCron(t, run).seen()
			c.exec(`insert into pgsolo.cron_job (job, schedule, last_at) values ('other', '', now())`)
			for _, row := range test.rows {
				for _, job := range []string{"job", "other"} {
					c.exec(`insert into pgsolo.cron_run (job, scheduled_at, term, outcome, cause)
						values ($1, $2, 1, $3, $4)`,
						job, c.epoch.Add(-time.Duration(row.ago)*day), row.outcome, row.cause)
				}
			}
			c.cron.History = test.history
			s, err := New(Options{Pool: c.pool, Schema: jobs.DefaultSchema, Group: "main", Jobs: []Job{c.cron}})
			if err != nil {
				t.Fatal(err)
			}
			s.now = func() time.Time { return c.epoch }
			for range 2 {
				if err := s.pruner(c.term).pruneJobs(t.Context(), s.jobs); err != nil {
					t.Fatal(err)
				}
			}
			rows, err := c.pool.Query(t.Context(),
				`select extract(day from $1 - scheduled_at)::int
					from pgsolo.cron_run where job = 'job' order by 1`, c.epoch)
			if err != nil {
				t.Fatal(err)
			}
			got, err := pgx.CollectRows(rows, pgx.RowTo[int])
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("kept -want +got\n%s", diff)
			}
			if others := pgtest.Value[int](t, c.pool,
				`select count(*) from pgsolo.cron_run where job = 'other'`); others != len(test.rows) {
				t.Errorf("%d rows of the other job, want %d", others, len(test.rows))
			}
		})
	}
}

func TestHistoryOfRemovedJobsIsPruned(t *testing.T) {
	run, _ := calls(t)
	c := setupCron(t, run).seen()
	c.exec(`insert into pgsolo.cron_job (job, schedule, last_at, forgotten_at, "group")
		values ('gone', '', now(), now(), 'main'), ('else', '', now(), now(), 'x')`)
	c.exec(`insert into pgsolo.cron_run (job, scheduled_at, term, outcome)
		select job, $1::timestamptz - n * interval '1 day', 1, 'ok'
			from unnest('{job,gone,else}'::text[]) job, unnest('{89,91}'::int[]) n`, c.epoch)
	s, err := New(Options{Pool: c.pool, Schema: jobs.DefaultSchema, Group: "main", Jobs: []Job{c.cron}})
	if err != nil {
		t.Fatal(err)
	}
	s.now = func() time.Time { return c.epoch }
	if err := s.pruner(c.term).pruneForgotten(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := pgtest.Value[string](t, c.pool, `select string_agg(job || ' ' || n, ', ' order by job) from
		(select job, count(*) n from pgsolo.cron_run group by job) counts`); got != "else 2, gone 1, job 2" {
		t.Errorf("kept %s", got)
	}
}

// A job is pruned when a tenth of what is kept of it has been added, and all are once in a while.
func TestHistoryIsPrunedInTime(t *testing.T) {
	ctx, run := t.Context(), func(context.Context, Tick) error { return nil }
	c := setupCron(t, run).seen()
	c.cron.History = History{Runs: 20, FailedRuns: 30}
	all := []Job{c.cron, {Name: "other", Schedules: []string{"@yearly"}, Run: run}}
	s, err := New(Options{Pool: c.pool, Schema: jobs.DefaultSchema, Group: "main", Jobs: all})
	if err != nil {
		t.Fatal(err)
	}
	s.now = c.clock.read
	term := termOf(t, s) // one step after the other: a leader prunes by itself, too
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(term.claim(ctx))
	for m := 1 * minute; m <= 2*minute; m += minute {
		if due := s.pruner(c.term).toPrune(false); len(due) > 0 {
			t.Errorf("%d jobs to prune before %s", len(due), m)
		}
		c.clock.move(c.epoch.Add(m))
		term.scan()
		must(term.begin(ctx))
		term.conclude(ctx, pgtest.Within(t, "the run to end", term.ended))
		must(term.settle(ctx))
	}
	if due := s.pruner(c.term).toPrune(false); len(due) != 1 || due[0] != s.jobs[0] {
		t.Errorf("%d jobs to prune, want the one", len(due))
	}
	if due := s.pruner(c.term).toPrune(true); len(due) != 2 {
		t.Errorf("%d jobs to prune, want all", len(due))
	}
	must(s.pruner(c.term).pruneJobs(ctx, s.jobs))
	if due := s.pruner(c.term).toPrune(false); len(due) > 0 {
		t.Errorf("%d jobs to prune after that", len(due))
	}
}

func TestRunsOfAJob(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run).seen().lead(1)
	for m := 1 * minute; m <= 3*minute; m += minute {
		c.at(m)
		call := c.next(started, m, 1)
		if m == 2*minute {
			call.Report.SetExitCode(3)
			call.Report.SetHTTPStatus(500)
			_, _ = call.Report.Write([]byte("much"))
			c.finish(call, errNoDisk)
			continue
		}
		c.finish(call, nil)
	}
	c.quit()
	runs, err := admin.CronJobs{}.Runs(t.Context(), c.pool, "job", c.epoch.Add(3*minute), 1)
	if err != nil || len(runs) != 1 {
		t.Fatalf("got %d runs, %v", len(runs), err)
	}
	got := runs[0]
	if got.StartedAt.IsZero() || got.FinishedAt.Before(got.StartedAt) {
		t.Errorf("started %s, finished %s", got.StartedAt, got.FinishedAt)
	}
	code, status := 3, 500
	want := admin.Run{
		Job: "job", ScheduledAt: c.epoch.Add(2 * minute), Cause: "schedule", Outcome: "failed", Error: "no disk",
		Attempt: 1, Term: 1, Holder: "here",
		ExitCode: &code, HTTPStatus: &status, Output: "much",
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(admin.Run{}, "StartedAt", "FinishedAt"),
		cmp.Comparer(time.Time.Equal)); diff != "" {
		t.Errorf("run -want +got\n%s", diff)
	}
	all, err := admin.CronJobs{}.Runs(t.Context(), c.pool, "job", time.Time{}, 10)
	sorted := slices.IsSortedFunc(all, func(a, b admin.Run) int { return b.ScheduledAt.Compare(a.ScheduledAt) })
	if err != nil || len(all) != 3 || !sorted {
		t.Errorf("got %+v, %v, want all three, the latest one first", all, err)
	}
	if _, err := (admin.CronJobs{}).Runs(t.Context(), c.pool, "job", time.Time{}, -1); err == nil {
		t.Error("a negative limit is taken")
	}
}
