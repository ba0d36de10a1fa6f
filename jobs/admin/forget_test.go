package admin

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/group"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// setupNames makes two elections: main, which is led until leave is called, and old, which is not. Each has a handler
// and a job of its name; main also has lost ones, which its leader lacks.
func setupNames(t *testing.T) (pool *pgxpool.Pool, leave func(planned bool)) {
	pool = jobstest.Pool(t)
	jobstest.MustExec(t, pool, `insert into pgsolo.cursor (handler, "group", topic, done, term)
		values ('main', 'main', 't', '{[1,5)}', 1), ('lost', 'main', 't', '{[1,3)}', 1), ('old', 'old', 't', '{}', 1)`)
	jobstest.MustExec(t, pool, `insert into pgsolo.cursor_topic (handler, "group", topic, done, left_led)
		select handler, "group", 'before', '{[7,8)}', 0 from pgsolo.cursor`)
	jobstest.MustExec(t, pool, `update pgsolo.cursor set seen_at = now() - interval '3 hours' where handler = 'old'`)
	jobstest.MustExec(t, pool, `insert into pgsolo.delivery
			(handler, event_id, topic, payload, headers, created_at, attempt, state, error)
		select handler, 9, 't', '{}', '{}', now(), 1, 'dead', 'x' from pgsolo.cursor`)
	jobstest.MustExec(t, pool, `insert into pgsolo.cron_job (job, "group", schedule, last_at)
		select job, of, '* * * * *', now()
		from (values ('main', 'main'), ('lost', 'main'), ('old', 'old')) v (job, of)`)
	jobstest.MustExec(t, pool, `insert into pgsolo.cron_run (job, scheduled_at, term)
		select job, date_trunc('minute', now()), 1 from pgsolo.cron_job`)
	jobstest.MustExec(t, pool, `update pgsolo.cron_job set forgotten_at = now() where job = 'lost'`)
	jobstest.MustExec(t, pool,
		`select pgsolo.know('main', '{t,lost}'), pgsolo.know('main', '{t}'), pgsolo.know('old', '{old}')`)
	g := group.Group{DB: pg.DB{Pool: pool, Schema: jobs.DefaultSchema}, Name: "main"}
	body := group.Events{Handlers: map[string]group.Handler{"main": {Topic: "t"}}}
	_, err := g.Declare(t.Context(), 1, group.Encode(group.EventLog, body), new(group.Events))
	if err != nil {
		t.Fatal(err)
	}
	leave = g.Attend(t.Context(), 1, hclog.NewNullLogger())
	t.Cleanup(func() { leave(false) })
	pgtest.Eventually(t, "the leader's lock", func() bool {
		return pgtest.Value[bool](t, pool, `select pgsolo.is_led('main')`)
	})
	return pool, leave
}

const allNames = `select format('%s; %s; %s; %s; %s; %s',
	(select string_agg(concat(handler, ' ', done), ' ' order by handler) from pgsolo.cursor),
	(select string_agg(handler, ' ' order by handler) from pgsolo.cursor_topic),
	(select string_agg(handler, ' ' order by handler) from pgsolo.delivery),
	array_to_string(pgsolo.known_topics(), ' '),
	(select string_agg(job, ' ' order by job) from pgsolo.cron_job),
	(select string_agg(job, ' ' order by job) from pgsolo.cron_run))`

func TestForget(t *testing.T) {
	pool, leave := setupNames(t)
	want := func(what, state string) {
		t.Helper()
		if got := pgtest.Value[string](t, pool, allNames); got != state {
			t.Errorf("%s: %q, want %q", what, got, state)
		}
	}
	const all = "lost {[1,3)} main {[1,5)} old {}; lost main old; lost main old; lost old t; " +
		"lost main old; lost main old"
	want("at first", all)
	n := Names{}
	rename := func(ctx context.Context, db Querier, handler string) error {
		return n.RenameHandler(ctx, db, handler, "renamed")
	}
	type verb func(context.Context, Querier, string) error
	for what, test := range map[string]struct {
		do   verb
		name string
	}{
		"handler": {n.ForgetHandler, "main"}, "topic": {n.ForgetTopic, "t"}, "job": {n.ForgetJob, "main"},
		"election": {n.ForgetElection, "main"}, "rename": {rename, "main"},
	} {
		if err := test.do(t.Context(), pool, test.name); !errors.Is(err, ErrDeclared) {
			t.Errorf("%s that a leader declares: %v, want ErrDeclared", what, err)
		}
		if err := test.do(t.Context(), pool, "none such"); !errors.Is(err, ErrUnknownName) {
			t.Errorf("unknown %s: %v, want ErrUnknownName", what, err)
		}
		if err := test.do(t.Context(), pool, "a\x00"); err == nil {
			t.Errorf("%s: a name that no database has is not refused", what)
		}
	}
	want("what a leader declares", all)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	if err := n.RenameHandler(t.Context(), pool, "lost", "old"); err == nil {
		t.Error("renamed to a handler that there is")
	}
	must(n.RenameHandler(t.Context(), pool, "lost", "renamed"))
	must(n.ForgetTopic(t.Context(), pool, "lost"))
	must(n.ForgetJob(t.Context(), pool, "lost"))
	want("what the leader lacks", "main {[1,5)} old {} renamed {[1,3)}; main old renamed; main old renamed; old t; "+
		"main old; main old")
	must(n.ForgetHandler(t.Context(), pool, "renamed"))
	must(n.ForgetElection(t.Context(), pool, "old"))
	want("another election", "main {[1,5)}; main; main; t; main; main")
	leave(true)
	must(n.ForgetElection(t.Context(), pool, "main"))
	want("nothing is led", "; ; ; ; ; ")
	if marks := pgtest.Value[int](t, pool, `select count(*) from pgsolo.undeclared`); marks != 0 {
		t.Errorf("%d marks are left", marks)
	}
}

// A leader of the version before holds no lock. Its claim, which no leader of this version has entered for, and what it
// writes from time to time tell that it may live.
func TestForgetBesideTheVersionBefore(t *testing.T) {
	for what, test := range map[string]struct{ sign, gone string }{
		"its handlers": {`update pgsolo.cursor set seen_at = now() - interval '61 minutes' where handler = 'old'`,
			`update pgsolo.cursor set seen_at = now() - interval '3 hours' where handler = 'old'`},
		"its cron jobs": {`insert into pgsolo.cron_leader values ('old', 1)`,
			`update pgsolo.cron_run set scheduled_at = scheduled_at - interval '2 days' where job = 'old'`},
		"a leader of this version was there": {`insert into pgsolo.jobs_group ("group", term) values ('old', 0)`,
			`update pgsolo.jobs_group set term = 1 where "group" = 'old'`},
	} {
		t.Run(what, func(t *testing.T) {
			pool, _ := setupNames(t)
			jobstest.MustExec(t, pool, test.sign)
			n := Names{}
			for verb, err := range map[string]error{
				"handler": n.ForgetHandler(t.Context(), pool, "old"), "topic": n.ForgetTopic(t.Context(), pool, "old"),
				"job": n.ForgetJob(t.Context(), pool, "old"), "election": n.ForgetElection(t.Context(), pool, "old"),
				"rename": n.RenameHandler(t.Context(), pool, "old", "new"),
			} {
				if !errors.Is(err, ErrDeclared) || !strings.Contains(err.Error(), "two hours after it was seen") {
					t.Errorf("%s: %v, want ErrDeclared with how long that holds", verb, err)
				}
			}
			jobstest.MustExec(t, pool, test.gone)
			if err := n.ForgetElection(t.Context(), pool, "old"); err != nil {
				t.Error(err)
			}
		})
	}
}

// Each remedy that the view names works at once, and lets go what it is for.
func TestRemediesOfWhatIsHeldBack(t *testing.T) {
	pool, _ := setupNames(t)
	jobstest.MustExec(t, pool, `insert into pgsolo.topic values ('old', 'lost')`)
	jobstest.MustExec(t, pool, `update pgsolo.cursor set seen_at = now() where handler = 'old'`)
	const names = `select string_agg(concat_ws(' ', kind, name, topic), ', ' order by kind, name, topic)
		from pgsolo.held_back`
	const want = "handler lost t, job lost, position lost before, position main before, position old before"
	if got := pgtest.Value[string](t, pool, names); got != want {
		t.Errorf("beside another election that declares the topic: %q, want %q", got, want)
	}
	jobstest.MustExec(t, pool, `update pgsolo.cursor set seen_at = now() - interval '3 hours' where handler = 'old'`)
	const wantMore = "election old lost, election old old, election old t, handler lost t, job lost, " +
		"position lost before, position main before, position old before, topic lost lost"
	if got := pgtest.Value[string](t, pool, names); got != wantMore {
		t.Errorf("that has gone: %q, want %q", got, wantMore)
	}
	for left := strings.Count(wantMore, ",") + 1; ; {
		var remedy string
		row := pool.QueryRow(t.Context(), `select remedy from pgsolo.held_back order by kind desc limit 1`)
		err := row.Scan(&remedy)
		if errors.Is(err, pgx.ErrNoRows) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		jobstest.MustExec(t, pool, remedy)
		n := pgtest.Value[int](t, pool, `select count(*) from pgsolo.held_back`)
		if n >= left {
			t.Fatalf("%s lets nothing go", remedy)
		}
		left = n
	}
	if got := pgtest.Value[string](t, pool, `select string_agg(handler, ' ') from pgsolo.cursor`); got != "main" {
		t.Errorf("handlers %q are left, want main", got)
	}
}

// A position in the topic that the handler has is its cursor, and not to be forgotten while a leader declares it.
func TestForgetPosition(t *testing.T) {
	pool, _ := setupNames(t)
	jobstest.MustExec(t, pool, `insert into pgsolo.cursor_topic (handler, "group", topic, done, left_led)
		values ('main', 'main', 't', '{}', 0)`)
	jobstest.MustExec(t, pool, `insert into pgsolo.delivery
			(handler, event_id, topic, payload, headers, created_at, attempt, state, error)
		select 'main', n, case n when 3 then 'unknown' else 'before' end, '{}', '{}', now(), 0, 'waiting', ''
		from generate_series(1, 3) n`)
	const deliveries = `select deliveries from pgsolo.held_back where kind = 'position' and name = 'main'`
	if n := pgtest.Value[int](t, pool, deliveries); n != 2 {
		t.Errorf("%d deliveries wait with the position, want 2", n)
	}
	for topic, want := range map[string]error{
		"t": ErrDeclared, "none such": ErrUnknownName, "before": nil, "unknown": nil,
	} {
		if err := (Names{}).ForgetPosition(t.Context(), pool, "main", topic); !errors.Is(err, want) {
			t.Errorf("topic %s: %v, want %v", topic, err, want)
		}
	}
	const want = "lost {[1,3)} main {[1,5)} old {}; lost main old; lost main old; "
	if got := pgtest.Value[string](t, pool, allNames); !strings.HasPrefix(got, want) {
		t.Errorf("left: %q", got)
	}
}

// What an election's handler has left behind in a topic goes with the election, but not where its handler, which
// another one has now, is at that topic.
func TestForgetElectionWhoseHandlerAnotherOneHas(t *testing.T) {
	pool, _ := setupNames(t)
	jobstest.MustExec(t, pool, `insert into pgsolo.cursor_topic (handler, "group", topic, done, left_led)
		values ('main', 'old', 't', '{}', 0), ('main', 'old', 'u', '{}', 0)`)
	jobstest.MustExec(t, pool, `insert into pgsolo.delivery
			(handler, event_id, topic, payload, headers, created_at, attempt, state, error)
		values ('main', 1, 'u', '{}', '{}', now(), 0, 'waiting', ''),
			('main', 2, 't', '{}', '{}', now(), 0, 'waiting', '')`)
	if err := (Names{}).ForgetElection(t.Context(), pool, "old"); err != nil {
		t.Fatal(err)
	}
	got := pgtest.Value[string](t, pool, `select string_agg(concat_ws(' ', topic, event_id), ', ' order by event_id)
		from pgsolo.delivery where handler = 'main'`)
	if got != "t 2, t 9" {
		t.Errorf("%q are left", got)
	}
}

// However long the log is, of each name only a part is read.
func TestHeldBackOfALongLog(t *testing.T) {
	pool, _ := setupNames(t)
	const view = `select concat_ws(' ', rows, or_more) from pgsolo.held_back
		where kind = 'handler' and name = 'lost'`
	jobstest.EmitMany(t, pool, 1000)
	if got := pgtest.Value[string](t, pool, view); got != "998 f" {
		t.Errorf("of a short log: %q", got)
	}
	jobstest.EmitMany(t, pool, 100_000)
	if got := pgtest.Value[string](t, pool, view); got != "100000 t" {
		t.Errorf("of a long one: %q", got)
	}
}

// An election is forgotten while another one makes its topics known: neither waits for the other for ever.
func TestForgetElectionBesideADeclaration(t *testing.T) {
	pool, _ := setupNames(t)
	declaring := jobstest.Begin(t, pool)
	jobstest.MustExec(t, declaring, `insert into pgsolo.doorbell ("group", armed, term) values ('main', false, 1)`)
	forgotten := make(chan error, 1)
	go func() { forgotten <- Names{}.ForgetElection(t.Context(), pool, "old") }()
	pgtest.Eventually(t, "the verb to wait for the doorbell", func() bool {
		return pgtest.Value[bool](t, pool, `select exists (select from pg_locks
			where relation = 'pgsolo.doorbell'::regclass and not granted)`)
	})
	jobstest.MustExec(t, declaring, `select pgsolo.know('main', '{t}')`)
	jobstest.Commit(t, declaring)
	if err := pgtest.Within(t, "the verb", forgotten); err != nil {
		t.Error(err)
	}
}

// Each verb needs a grant on just that.
func TestForgetGrants(t *testing.T) {
	pool, _ := setupNames(t)
	nobody, _ := jobstest.SessionOf(t, pool)
	operator, _ := jobstest.SessionOf(t, pool, `grant execute on function pgsolo.forget_handler, pgsolo.forget_topic,
		pgsolo.forget_job, pgsolo.forget_election, pgsolo.rename_handler to {role}`)
	for _, do := range []func(db Querier) error{
		func(db Querier) error { return Names{}.RenameHandler(t.Context(), db, "lost", "renamed") },
		func(db Querier) error { return Names{}.ForgetHandler(t.Context(), db, "renamed") },
		func(db Querier) error { return Names{}.ForgetTopic(t.Context(), db, "lost") },
		func(db Querier) error { return Names{}.ForgetJob(t.Context(), db, "lost") },
		func(db Querier) error { return Names{}.ForgetElection(t.Context(), db, "old") },
	} {
		if err := do(nobody); !pg.IsNotAllowed(err) {
			t.Errorf("without a grant: %v", err)
		}
		if err := do(operator); err != nil {
			t.Error(err)
		}
	}
}
