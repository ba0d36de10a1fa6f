package eventlog

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/loop"
)

func TestStats(t *testing.T) {
	pool := jobstest.Pool(t)
	jobstest.MustExec(t, pool, `insert into pgsolo.event (topic, payload, created_at)
		select 't', to_jsonb(n), now() - interval '1 hour' from generate_series(1, 10) n`)
	jobstest.MustExec(t, pool, `insert into pgsolo.event (topic) values ('else')`)
	stuck, release := make(chan int64, 10), make(chan struct{})
	var failures atomic.Int64
	l := lead(t, pool, 1, Handler{
		Name: "h", Topic: "t", Concurrency: 2, Retry: jobs.Retry{Attempts: 2, Backoff: time.Millisecond},
		When: func(e Event) (bool, error) { return e.ID != 1, nil },
		Handle: func(_ context.Context, e Event) error {
			switch e.ID {
			case 2:
				failures.Add(1)
				return errors.New("no")
			case 5, 6:
				stuck <- e.ID
				<-release
			}
			return nil
		},
	})
	pgtest.Within(t, "one worker to be stuck", stuck)
	pgtest.Within(t, "the other one too", stuck)
	id := jobstest.Emit(t, pool, "t", `1`) // no worker is free for it
	var got HandlerStats
	pgtest.Eventually(t, "the stats", func() bool {
		stats := l.runner.Stats()
		got = stats.Handlers[0]
		return got.Lag == 8 && got.Waiting == 6 && stats.Log == LogStats{Appended: id, Ring: RingArmed}
	})
	// the failed one waits again
	want := HandlerStats{Name: "h", Handled: 2, Failed: 1, Filtered: 1, InFlight: 2, Waiting: 6, Lag: 8}
	got.OldestAge = 0
	got.Durations, want.Durations.Count = jobs.Histogram{Count: got.Durations.Count}, 3
	got.Batches = jobs.Histogram{}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if err := l.runner.oldest.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	if age := l.runner.Stats().Handlers[0].OldestAge; age < time.Hour || age > time.Hour+time.Minute {
		t.Errorf("oldest age %s, want an hour", age)
	}
	close(release)
	pgtest.Eventually(t, "the dead letter and the progress to be written", func() bool {
		return pgtest.Value[bool](t, pool,
			`select int8multirange(int8range(1, $1)) = done and exists (select from pgsolo.dead_letter)
			from pgsolo.cursor`, id+1)
	})
	if err := l.runner.oldest.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	got = l.runner.Stats().Handlers[0]
	if got.OldestAge != 0 || got.Lag != 0 || got.Waiting != 0 || got.Retried != 1 || got.Dead != 1 ||
		got.Failed != failures.Load() || got.Failed != 2 {
		t.Errorf("when all is done: %+v", got)
	}
	l.quit()
	if stats := l.runner.Stats(); stats.Log != (LogStats{}) || stats.Handlers[0].Handled != got.Handled {
		t.Errorf("after the term: %+v", stats)
	}
}

// An event that failed is not done, even long after the log has deleted it.
// What a transaction may still fill, was rolled back or skipped, or is another topic's, is no work to be done.
func TestStatsCountEventsAlone(t *testing.T) {
	t.Parallel()
	pool := jobstest.Pool(t)
	stuck, release := make(chan int64, 1), make(chan struct{})
	handle := func(_ context.Context, e Event) error {
		if string(e.Payload) == `"stuck"` {
			stuck <- e.ID
			<-release
		}
		return nil
	}
	l := lead(t, pool, 1, Handler{Name: "h", Topic: "t", Concurrency: 2, Handle: handle})
	emit := func(topic, payload string) (id int64) {
		return pgtest.Value[int64](t, pool, `insert into pgsolo.event (topic, payload, created_at)
			values ($1, $2::jsonb, now() - interval '1 hour') returning id`, topic, payload)
	}
	done := func() {
		t.Helper()
		pgtest.Eventually(t, "the progress", func() bool {
			return pgtest.Value[bool](t, pool, `select exists (select from pgsolo.cursor) and not exists (
				select from pgsolo.event e, pgsolo.cursor c where e.topic = 't' and not c.done @> e.id)`)
		})
	}
	open := jobstest.Begin(t, pool)
	jobstest.Emit(t, open, "t", `1`)
	emit("t", `1`)
	last := emit("t", `1`)
	done()
	undone := jobstest.Begin(t, pool)
	jobstest.Emit(t, undone, "t", `1`)
	if err := undone.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	pgtest.Value[int64](t, pool, `select setval('pgsolo.event_id_seq', $1)`, last+32) // as a crash does
	check := func(lag, unfinished int64, age time.Duration) {
		t.Helper()
		pgtest.Eventually(t, "the poll", func() bool { return l.runner.poll.Given() >= last+32 })
		if err := l.runner.oldest.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := l.runner.Stats().Handlers[0]
		if got.Lag != lag || got.OldestAge.Truncate(time.Hour) != age {
			t.Errorf("lag %d, age %s, want %d and %s", got.Lag, got.OldestAge, lag, age)
		}
		if n := pgtest.Value[int64](t, pool, `select unfinished from pgsolo.handler`); n != unfinished {
			t.Errorf("%d unfinished, want %d", n, unfinished)
		}
	}
	check(0, 0, 0)

	for range 2 {
		emit("t", `"stuck"`)
	}
	pgtest.Within(t, "the first one", stuck)
	pgtest.Within(t, "the second one", stuck)
	for range 200 { // more than it reads ahead
		emit("t", `1`)
	}
	for range 100 {
		last = emit("other", `1`) - 32
	}
	check(202, 202, time.Hour)
	close(release)
	last = emit("t", `1`)
	done()
	last -= 32
	check(0, 0, 0)
	jobstest.Commit(t, open)
}

func TestStatsOldestDelivery(t *testing.T) {
	pool := jobstest.Pool(t)
	handler, _ := recorder("h", "t")
	r, err := New(Options{Pool: pool, Handlers: []Handler{handler}}) // that does not run, or it might handle them
	if err != nil {
		t.Fatal(err)
	}
	r.leads.Store(true)
	jobstest.MustExec(t, pool, `insert into pgsolo.cursor (handler, topic) values ('h', 't')`)
	for state, want := range map[string]time.Duration{"retry": time.Hour, "waiting": time.Hour, "scheduled": 0,
		"dead": 0} {
		jobstest.MustExec(t, pool, `delete from pgsolo.delivery`)
		jobstest.MustExec(t, pool, `insert into pgsolo.delivery
				(handler, event_id, topic, payload, headers, created_at, attempt, state, next_at, error)
			values ('h', 1, 't', '1', '{}', now() - interval '1 hour', 1, $1, now() + interval '1 hour', '')`, state)
		if err := r.oldest.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		if age := r.Stats().Handlers[0].OldestAge; age < want || age > want+time.Minute {
			t.Errorf("%s: oldest age %s, want %s", state, age, want)
		}
	}
}

func TestStatsLag(t *testing.T) {
	handler, _ := recorder("h", "t")
	other, _ := recorder("other", "t")
	pool := jobstest.Pool(t)
	r, err := New(Options{Pool: pool, Handlers: []Handler{handler, other}})
	if err != nil {
		t.Fatal(err)
	}
	r.leads.Store(true)
	jobstest.MustExec(t, pool, `select setval('pgsolo.event_id_seq', 10)`)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.poll.Run(ctx, &loop.Leadership{Term: 1, Starting: ctx}) }()
	pgtest.Eventually(t, "a poll", func() bool { return r.poll.Given() == 10 })
	stop()
	pgtest.Within(t, "the end of the poll", ended)
	r.handlers[0].seenTo.Store(4)
	r.handlers[1].seenTo.Store(12) // since the latest poll
	if stats := r.Stats(); stats.Log.Appended != 12 || stats.Handlers[0].Lag != 8 || stats.Handlers[1].Lag != 0 {
		t.Errorf("appended %d, lags %d and %d; want 12, 8 and 0", stats.Log.Appended, stats.Handlers[0].Lag,
			stats.Handlers[1].Lag)
	}
}
