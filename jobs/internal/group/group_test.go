package group_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/group"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// groupTest is a group whose leaders declare what the test says, and count the time that it says.
type groupTest struct {
	t    *testing.T
	pool *pgxpool.Pool
	group.Group
	term int64
}

func setup(t *testing.T, forgetAfter time.Duration) *groupTest {
	pool := jobstest.Pool(t)
	return &groupTest{t: t, pool: pool, Group: group.Group{
		DB: pg.DB{Pool: pool, Schema: jobs.DefaultSchema}, Name: "main", ForgetAfter: forgetAfter}}
}

// leads has a new leader declare handlers, each of a topic of its own name, and topics.
func (g *groupTest) leads(handlers string, topics map[string]int64) (previous group.Events) {
	g.t.Helper()
	g.term++
	body := group.Events{Topics: topics, Handlers: map[string]group.Handler{}}
	known := []string{}
	for topic := range topics {
		known = append(known, topic)
	}
	for _, name := range strings.Fields(handlers) {
		body.Handlers[name] = group.Handler{Topic: name}
		known = append(known, name)
		jobstest.MustExec(g.t, g.pool, `insert into pgsolo.cursor as c (handler, term, topic) values ($1, $2, $1)
			on conflict (handler) do update set term = excluded.term, configured = true`, name, g.term)
	}
	if _, err := g.Declare(g.t.Context(), g.term, group.Encode(group.EventLog, body), &previous); err != nil {
		g.t.Fatal(err)
	}
	jobstest.MustExec(g.t, g.pool, `select pgsolo.know('main', $1)`, known)
	return previous
}

// passes counts time for the latest leader.
func (g *groupTest) passes(d time.Duration) {
	g.t.Helper()
	jobstest.MustExec(g.t, g.pool, `select pgsolo.count_led('main', $1, $2)`, g.term, d.Microseconds())
}

// want compares which cursors hold back the log, which topics are accepted, and how many configurations count.
func (g *groupTest) want(what, holding, topics string, configurations int) {
	g.t.Helper()
	got := pgtest.Value[string](g.t, g.pool, `select format('%s; %s; %s',
		(select string_agg(handler, ' ' order by handler) from pgsolo.cursor where configured),
		array_to_string(pgsolo.known_topics(), ' '), (select count(*) from pgsolo.configuration))`)
	if want := strings.Join([]string{holding, topics, string(rune('0' + configurations))}, "; "); got != want {
		g.t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// What a leader lacks counts until the group was led for longer than the grace without it.
func TestGrace(t *testing.T) {
	g := setup(t, time.Hour)
	g.leads("a b", map[string]int64{"fresh": 5})
	g.want("at first", "a b", "a b fresh", 1)
	if before := g.leads("a", nil); len(before.Handlers) != 2 || before.Topics["fresh"] != 5 {
		t.Errorf("the configuration before: %+v", before)
	}
	g.want("an older one leads", "a b", "a b fresh", 2)
	g.passes(59 * time.Minute)
	g.want("for less than the grace", "a b", "a b fresh", 2)

	jobstest.MustExec(t, g.pool, `update pgsolo.undeclared set since = since - interval '1 year'`)
	g.leads("a", nil)
	g.passes(0)
	g.want("nobody has led for a year", "a b", "a b fresh", 2)

	g.leads("a b", map[string]int64{"fresh": 5})
	g.leads("a", nil)
	g.passes(59 * time.Minute)
	g.want("it came back meanwhile", "a b", "a b fresh", 2)
	g.passes(2 * time.Minute)
	g.want("the grace is over", "a", "a", 1)
	g.leads("a b", map[string]int64{"fresh": 5})
	g.want("it comes back after that", "a b", "a b fresh", 2)
}

// Without a grace it is as in the version before.
func TestNoGrace(t *testing.T) {
	g := setup(t, jobs.ForgetAtOnce)
	g.leads("a b", map[string]int64{"fresh": 5})
	g.leads("a", nil)
	g.want("at once", "a", "a", 1)
}

// The version before marks cursors at once, and replaces topics. It does not end a grace by that, nor keep a mark that
// its own claim contradicts.
func TestVersionBeforeMarks(t *testing.T) {
	g := setup(t, time.Hour)
	g.leads("a b", nil)
	markBefore := func() {
		t.Helper()
		jobstest.MustExec(t, g.pool, `update pgsolo.cursor set configured = false, term = 2 where "group" = 'main'
			and topic <> '' and handler <> all ('{a}') and term <= 2 and (configured or term < 2)`)
		jobstest.MustExec(t, g.pool, `select pgsolo.know('main', '{a}')`)
	}
	markBefore()
	g.want("marked by the version before", "a b", "a b", 1)
	if pgtest.Value[bool](t, g.pool, `select configured from pgsolo.handler where handler = 'b'`) {
		t.Error("the view says that the latest leader has it")
	}
	g.passes(30 * time.Minute)
	g.leads("a", nil)
	g.passes(29 * time.Minute)
	g.want("before the grace is over", "a b", "a b", 2)
	jobstest.MustExec(t, g.pool, `insert into pgsolo.cursor as c (handler, term, "group", topic)
		values ('b', 3, 'main', 'b') on conflict (handler) do update set term = excluded.term, configured = true`)
	g.passes(2 * time.Minute)
	g.want("claimed by the version before, beside which no time counts", "a b", "a b", 2)
	g.leads("a", nil)
	g.passes(time.Hour)
	g.want("the grace is over", "a", "a", 1)
	markBefore()
	g.want("marked once more", "a", "a", 1)
}

// A leader that a newer one has replaced neither declares nor counts.
func TestStaleLeaderDeclaresNothing(t *testing.T) {
	g := setup(t, time.Hour)
	g.leads("a b", nil)
	g.leads("a", nil)
	_, err := g.Declare(t.Context(), 1, group.Encode(group.EventLog, group.Events{}), new(group.Events))
	if !errors.Is(err, jobs.ErrFenced) {
		t.Errorf("declared with %v, want ErrFenced", err)
	}
	g.term = 1
	g.passes(2 * time.Hour)
	g.want("after the stale leader", "a b", "a b", 2)
}

// A leader lives while its lock is held, and has left once it says so.
func TestAttend(t *testing.T) {
	g := setup(t, 2*time.Second)
	owner := func() group.Owner {
		t.Helper()
		return group.Owner{Lives: pgtest.Value[bool](t, g.pool, `select pgsolo.is_led('main')`),
			Left: pgtest.Value[bool](t, g.pool, `select pgsolo.has_left('main')`)}
	}
	if o := owner(); o != (group.Owner{}) {
		t.Errorf("a group that was never led: %+v", o)
	}
	g.leads("a b", nil)
	g.leads("a", nil)
	first := g.Attend(t.Context(), 2, hclog.NewNullLogger())
	lives := func() bool { return owner() == (group.Owner{Lives: true}) }
	pgtest.Eventually(t, "the lock", lives)
	jobstest.MustExec(t, g.pool, `select pg_terminate_backend(pid) from pg_locks
		where locktype = 'advisory' and classid = 'pgsolo.jobs_group'::regclass`)
	pgtest.Eventually(t, "the count to end the grace", func() bool {
		return pgtest.Value[bool](t, g.pool, `select not configured from pgsolo.cursor where handler = 'b'`)
	})
	pgtest.Eventually(t, "the lock again", lives)

	second := g.Attend(t.Context(), 3, hclog.NewNullLogger())
	pgtest.Eventually(t, "the next leader", func() bool {
		return pgtest.Value[bool](t, g.pool, `select term = 3 from pgsolo.jobs_group`)
	})
	first(true)
	if o := owner(); o != (group.Owner{Lives: true}) {
		t.Errorf("after the end of the first of two: %+v", o)
	}
	second(false)
	pgtest.Eventually(t, "an end that was not planned", func() bool { return owner() == (group.Owner{}) })
	third := g.Attend(t.Context(), 4, hclog.NewNullLogger())
	pgtest.Eventually(t, "the third", lives)
	third(true)
	if o := owner(); o != (group.Owner{Left: true}) {
		t.Errorf("after a planned end: %+v", o)
	}
}

// The leaderships of a process share a session, each with a lock of its own.
func TestLeadershipsShareASession(t *testing.T) {
	g := setup(t, time.Hour)
	other := g.Group
	other.Name = "other"
	ctx := group.Process(t.Context())
	leaves := map[string]func(bool){}
	for _, of := range []group.Group{g.Group, other} {
		leaves[of.Name] = of.Attend(ctx, 1, hclog.NewNullLogger())
	}
	const (
		locks = ` from pg_locks where locktype = 'advisory' and classid = 'pgsolo.jobs_group'::regclass
			and database = (select oid from pg_database where datname = current_database())`
		sessions = `select count(distinct pid) = 1 and count(*) = $1` + locks
	)
	led := func(groups int) func() bool {
		return func() bool { return pgtest.Value[bool](t, g.pool, sessions, groups) }
	}
	pgtest.Eventually(t, "both locks in one session", led(2))
	jobstest.MustExec(t, g.pool, `select pg_terminate_backend(pid, 5000) from (select distinct pid`+locks+`) s`)
	pgtest.Eventually(t, "both again", led(2))

	leaves["main"](true)
	if !led(1)() || !pgtest.Value[bool](t, g.pool, `select pgsolo.is_led('other') and pgsolo.has_left('main')`) {
		t.Error("one has left, and the other does not attend alone")
	}
	leaves["main"] = g.Attend(ctx, 2, hclog.NewNullLogger())
	pgtest.Eventually(t, "the next of the same group", led(2))
	for _, leave := range leaves {
		leave(false)
	}
	pgtest.Eventually(t, "the end of the session", func() bool {
		return !pgtest.Value[bool](t, g.pool, `select pgsolo.is_led('other') or pgsolo.is_led('main')`)
	})
}

// A leader sends what it has only where no leader has declared that within the grace, and hears what the one before had
// only where that differs.
func TestFingerprintIsEnough(t *testing.T) {
	g := setup(t, time.Hour)
	declares := func(fingerprint string, body any) (said string) {
		t.Helper()
		err := g.pool.QueryRow(t.Context(), `select concat_ws(' ', known, previous -> 'jobs')
			from pgsolo.declare_configuration('main', 1, 1000000, 'cron', $1, $2)`, fingerprint, body).Scan(&said)
		if err != nil {
			t.Fatal(err)
		}
		return said
	}
	for _, step := range []struct {
		fingerprint, want string
		body              any
	}{
		{"a", "f", nil},
		{"a", "t", `{"jobs": 1}`},
		{"a", "t", nil},
		{"b", "f", nil},
		{"b", "t 1", `{"jobs": 2}`},
		{"a", "t 2", nil},
		{"a", "t", nil},
	} {
		if said := declares(step.fingerprint, step.body); said != step.want {
			t.Errorf("%s with %v: %q, want %q", step.fingerprint, step.body, said, step.want)
		}
	}
}
