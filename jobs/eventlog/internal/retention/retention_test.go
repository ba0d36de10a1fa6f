package retention

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/group"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// trimTest is a log whose events are as old as the test wants them, and the trimmer of group "main".
type trimTest struct {
	t    *testing.T
	pool *pgxpool.Pool
	*Trimmer
	logged bytes.Buffer // to be read while no pass runs
}

func setupTrim(t *testing.T, retention map[string]time.Duration) *trimTest {
	return trimmerOn(t, jobstest.Pool(t), retention)
}

func trimmerOn(t *testing.T, pool *pgxpool.Pool, retention map[string]time.Duration) *trimTest {
	test := &trimTest{t: t, pool: pool}
	logger := hclog.New(&hclog.LoggerOptions{Output: &test.logged})
	test.Trimmer = New(groupOf(pool, "main"), keeping(retention), logger)
	return test
}

func groupOf(pool *pgxpool.Pool, name string) group.Group {
	return group.Group{DB: pg.DB{Pool: pool, Schema: jobs.DefaultSchema}, Name: name}
}

// keeping is a configuration with these retentions.
func keeping(retention map[string]time.Duration) group.Events {
	declared := group.Events{Topics: map[string]int64{}}
	for topic, kept := range retention {
		declared.Topics[topic] = kept.Microseconds()
	}
	return declared
}

// startTrimmer runs the trimmer until end is called.
func startTrimmer(t *testing.T, tt *trimTest) (ended <-chan struct{}, end func()) {
	t.Helper()
	ctx, end := context.WithCancel(t.Context())
	t.Cleanup(end)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tt.Run(ctx)
	}()
	return done, end
}

func (tt *trimTest) exec(sql string, args ...any) {
	tt.t.Helper()
	if _, err := tt.pool.Exec(tt.t.Context(), sql, args...); err != nil {
		tt.t.Fatal(fmt.Errorf("%s: %w", sql, err))
	}
}

// add inserts an event of that age.
func (tt *trimTest) add(topic string, age time.Duration) (id int64) {
	tt.t.Helper()
	return pgtest.Value[int64](tt.t, tt.pool, `insert into pgsolo.event (topic, created_at)
		values ($1, now() - $2::interval) returning id`, topic, age)
}

// fill inserts n events of that age, each of about 600 bytes.
func (tt *trimTest) fill(n int, topic string, age time.Duration) {
	tt.t.Helper()
	tt.exec(`insert into pgsolo.event (topic, payload, created_at)
		select $1, to_jsonb(repeat('x', 500)), now() - $2::interval from generate_series(1, $3::int)`, topic, age, n)
}

// cursor makes a handler's cursor, or changes it.
func (tt *trimTest) cursor(handler, topic, done string) {
	tt.t.Helper()
	tt.exec(`insert into pgsolo.cursor (handler, topic, done) values ($1, $2, $3::text::int8multirange)
		on conflict (handler) do update set topic = excluded.topic, done = excluded.done`, handler, topic, done)
}

// retire ends the grace of a handler.
func (tt *trimTest) retire(handler string) {
	tt.t.Helper()
	tt.exec(`insert into pgsolo.undeclared (kind, "group", name, led, retired)
		select 'handler', "group", handler, 0, true from pgsolo.cursor where handler = $1
		on conflict (kind, "group", name) do update set retired = true`, handler)
	tt.exec(`update pgsolo.cursor set configured = false where handler = $1`, handler)
}

func (tt *trimTest) mustPass() {
	tt.t.Helper()
	if err := tt.pass(tt.t.Context()); err != nil {
		tt.t.Fatal(err)
	}
}

// fromStart makes the next pass begin from the start, as each does now and then.
func (tt *trimTest) fromStart() {
	for _, c := range tt.classes {
		c.restart = time.Time{}
	}
}

func (tt *trimTest) ids() []int64 {
	tt.t.Helper()
	return collect[int64](tt.t, tt.pool, `select id from pgsolo.event order by id`)
}

func (tt *trimTest) wantIDs(what string, want ...int64) {
	tt.t.Helper()
	if diff := cmp.Diff(want, tt.ids(), cmpopts.EquateEmpty()); diff != "" {
		tt.t.Fatalf("%s: events left -want +got\n%s", what, diff)
	}
}

func (tt *trimTest) wantCount(what string, want int64) {
	tt.t.Helper()
	if got := pgtest.Value[int64](tt.t, tt.pool, `select count(*) from pgsolo.event`); got != want {
		tt.t.Fatalf("%s: %d events left, want %d", what, got, want)
	}
}

func collect[T any](t *testing.T, pool *pgxpool.Pool, sql string, args ...any) []T {
	t.Helper()
	rows, err := pool.Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[T])
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// role returns a pool of a role without any privilege but those granted here.
func (tt *trimTest) role(name string, grants ...string) *pgxpool.Pool {
	tt.t.Helper()
	tt.exec(`create role ` + name)
	tt.t.Cleanup(func() { _, _ = tt.pool.Exec(context.Background(), `drop owned by `+name+`; drop role `+name) })
	for _, grant := range append(grants, `usage on schema pgsolo`) {
		tt.exec(`grant ` + grant + ` to ` + name)
	}
	config := tt.pool.Config()
	config.ConnConfig.RuntimeParams["role"] = name
	pool, err := pgxpool.NewWithConfig(tt.t.Context(), config)
	if err != nil {
		tt.t.Fatal(err)
	}
	tt.t.Cleanup(pool.Close)
	return pool
}

func TestRetentionOfEachTopic(t *testing.T) {
	tt := setupTrim(t, map[string]time.Duration{"hour": time.Hour, "day": 24 * time.Hour, "ever": 0,
		"*": 2 * time.Hour})
	var want []int64
	for _, age := range []time.Duration{25 * time.Hour, 3 * time.Hour, 90 * time.Minute, time.Minute} {
		for topic, keeps := range map[string]time.Duration{
			"hour": time.Hour, "day": 24 * time.Hour, "ever": 1000 * time.Hour, "other": 2 * time.Hour,
			"another": 2 * time.Hour,
		} {
			if id := tt.add(topic, age); age < keeps {
				want = append(want, id)
			}
		}
	}
	tt.mustPass()
	tt.wantIDs("after a pass", want...)
	tt.mustPass()
	tt.wantIDs("after another pass", want...)
}

func TestRetentionKeepsEverythingByDefault(t *testing.T) {
	tt := setupTrim(t, map[string]time.Duration{"listed": time.Hour})
	kept := tt.add("other", 1000*time.Hour)
	tt.add("listed", 1000*time.Hour)
	tt.mustPass()
	tt.wantIDs("a topic that is not listed", kept)
}

func TestRetentionWaitsForHandlers(t *testing.T) {
	tt := setupTrim(t, map[string]time.Duration{"*": time.Hour})
	var id []int64
	for range 10 {
		id = append(id, tt.add("t", 2*time.Hour))
	}
	tt.add("free", 2*time.Hour)
	tt.cursor("h", "t", "{}")
	tt.mustPass()
	tt.wantIDs("nothing handled", id...)

	tt.cursor("h", "t", `{[1,3),[4,9)}`) // 3 is a hole
	tt.mustPass()
	tt.wantIDs("a hole", id[2:]...)
	tt.cursor("h", "t", `{[2,9)}`)
	tt.mustPass()
	tt.wantIDs("a hole at 1", id[2:]...)

	tt.cursor("h", "t", `{[1,9)}`)
	tt.cursor("other", "t", `{[1,6)}`)
	tt.mustPass()
	tt.wantIDs("another handler", id[5:]...)

	tt.exec(`update pgsolo.cursor set "group" = 'elsewhere', seen_at = now() - interval '6 days'
		where handler = 'other'`)
	tt.mustPass()
	tt.wantIDs("a handler of another group", id[5:]...)
	tt.cursor("other", "", `{[1,7)}`)
	tt.mustPass()
	tt.wantIDs("a handler of no known topic", id[6:]...)

	tt.exec(`update pgsolo.cursor set seen_at = now() - interval '8 days' where handler = 'other'`)
	tt.mustPass()
	tt.wantIDs("a handler of a group that nobody has led for a week", id[6:]...)
	tt.retire("other")
	tt.mustPass()
	tt.wantIDs("a handler that was retired", id[8:]...)

	young := tt.add("t", time.Minute)
	tt.exec(`update pgsolo.cursor set configured = false where handler = 'h'`) // as the version before does at once
	tt.mustPass()
	tt.wantIDs("a handler that was removed", append(id[8:], young)...)
	tt.retire("h")
	tt.mustPass()
	tt.wantIDs("and retired", young)
}

// A topic that a handler has left is held back for it as long as it may come back.
func TestRetentionKeepsATopicThatWasLeft(t *testing.T) {
	tt := setupTrim(t, map[string]time.Duration{"*": time.Hour})
	done, left, other := tt.add("t", 2*time.Hour), tt.add("t", 2*time.Hour), tt.add("other", 2*time.Hour)
	tt.cursor("h", "t", fmt.Sprintf("{[1,%d)}", left))
	tt.cursor("h", "other", "{}")
	tt.mustPass()
	tt.wantIDs("while it may come back", left, other)
	tt.cursor("h", "other", fmt.Sprintf("{[%d,%d)}", done, other+1))
	tt.exec(`update pgsolo.cursor_topic set retired = true`)
	tt.mustPass()
	tt.wantIDs("once it may not")
}

// Of a topic's retentions the longest counts that a leader has declared within the grace.
func TestLongestRetentionCounts(t *testing.T) {
	hours := func(n int64) int64 { return n * time.Hour.Microseconds() }
	for name, test := range map[string]struct {
		own    string // kept for an hour by this leader: "t", "*" or both
		group  string // of the other configuration
		other  group.Events
		keepsT time.Duration // 0: for ever
	}{
		"a longer one":    {"t", "main", group.Events{Topics: map[string]int64{"t": hours(3)}}, 3 * time.Hour},
		"a shorter one":   {"t", "main", group.Events{Topics: map[string]int64{"t": 1}}, time.Hour},
		"for ever":        {"t", "main", group.Events{Topics: map[string]int64{"t": 0}}, 0},
		"any topic":       {"t", "main", group.Events{Topics: map[string]int64{"*": hours(3)}}, 3 * time.Hour},
		"no word of it":   {"t", "main", group.Events{Topics: map[string]int64{"u": hours(3)}}, time.Hour},
		"a handler's":     {"t", "main", group.Events{Handlers: map[string]group.Handler{"h": {Topic: "t"}}}, 0},
		"by name of any":  {"*", "main", group.Events{Topics: map[string]int64{"t": hours(3)}}, 3 * time.Hour},
		"another group's": {"*", "other", group.Events{Topics: map[string]int64{"t": hours(3)}}, 3 * time.Hour},
		"another group's, but for any topic": {
			"t", "other", group.Events{Topics: map[string]int64{"*": hours(3)}}, time.Hour},
		"another group's handler": {
			"t", "other", group.Events{Handlers: map[string]group.Handler{"h": {Topic: "t"}}}, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			tt := setupTrim(t, map[string]time.Duration{test.own: time.Hour})
			of := groupOf(tt.pool, test.group)
			declared := group.Encode(group.EventLog, test.other)
			if _, err := of.Declare(t.Context(), 1, declared, new(group.Events)); err != nil {
				t.Fatal(err)
			}
			older, old, young := tt.add("t", 4*time.Hour), tt.add("t", 2*time.Hour), tt.add("t", 30*time.Minute)
			tt.fromStart()
			tt.mustPass()
			switch want := test.keepsT; want {
			case 0:
				tt.wantIDs("kept for ever", older, old, young)
			case time.Hour:
				tt.wantIDs("kept for an hour", young)
			default:
				tt.wantIDs("kept for three", old, young)
			}
		})
	}
}

// A handler that comes during a pass counts for the next statement of that pass.
func TestRetentionWaitsForHandlersThatComeMeanwhile(t *testing.T) {
	for _, topic := range []string{"t", ""} {
		t.Run("topic "+topic, func(t *testing.T) {
			tt := setupTrim(t, map[string]time.Duration{"t": time.Hour})
			tt.add("t", 2*time.Hour)
			kept := tt.add("t", 2*time.Hour)
			tt.cursor("h", topic, fmt.Sprintf("{[1,%d)}", kept))
			if err := tt.trim(t.Context(), tt.classes[0], unfinished{}); err != nil {
				t.Fatal(err)
			}
			tt.wantIDs("after the pass", kept)
		})
	}
}

// The leader of a group that has been down for longer than a week speaks up before it deletes anything, for handlers
// that it has.
func TestRetentionMarksItsHandlersAsSeen(t *testing.T) {
	for name, retention := range map[string]map[string]time.Duration{"retention": {"*": time.Hour},
		"no retention": nil} {
		t.Run(name, func(t *testing.T) {
			tt := setupTrim(t, retention)
			kept := tt.add("t", 2*time.Hour)
			tt.cursor("ours", "t", "{}")
			tt.cursor("removed", "t", "{}")
			tt.exec(`update pgsolo.cursor set seen_at = now() - interval '8 days'`)
			tt.retire("removed")
			tt.mustPass()
			tt.wantIDs("after the pass", kept)
			got := collect[string](t, tt.pool,
				`select handler from pgsolo.cursor where seen_at > now() - interval '1 hour'`)
			if diff := cmp.Diff([]string{"ours"}, got); diff != "" {
				t.Errorf("seen -want +got\n%s", diff)
			}
		})
	}
}

// What fails is logged once, keeps nothing else from being done, and ends no leadership.
func TestRetentionThatFails(t *testing.T) {
	tt := setupTrim(t, map[string]time.Duration{"t": time.Millisecond})
	guest := tt.role("retention_stranger", `select on pgsolo.event`, `select on pgsolo.cursor`,
		`execute on function pgsolo.left_topics, pgsolo.declared_events`,
		`select, update, delete on pgsolo.dedup`)
	tt.add("t", time.Hour)
	tt.cursor("h", "t", "{}")
	tt.exec(`update pgsolo.cursor set seen_at = now() - interval '8 days'`)
	tt.exec(`insert into pgsolo.dedup values ('t', 'old', now() - interval '1 hour')`)
	tt.db.Pool, tt.pause = guest, time.Millisecond
	ended, end := startTrimmer(t, tt)
	gone := func(table string) func() bool {
		return func() bool { return pgtest.Value[bool](t, tt.pool, `select not exists (select from `+table+`)`) }
	}
	pgtest.Eventually(t, "the keys to be deleted", gone("pgsolo.dedup"))
	tt.exec(`grant delete on pgsolo.event to retention_stranger`)
	for range 2 { // the first may be of a pass that began before
		tt.exec(`insert into pgsolo.dedup values ('t', 'old', now() - interval '1 hour')`)
		pgtest.Eventually(t, "another pass", gone("pgsolo.dedup"))
	}
	tt.wantCount("while the group could not say that it is alive", 1)
	tt.exec(`revoke delete on pgsolo.event from retention_stranger`)
	tt.exec(`grant update on pgsolo.cursor to retention_stranger`)
	pgtest.Eventually(t, "the cursor to be seen", func() bool {
		return pgtest.Value[bool](t, tt.pool, `select seen_at > now() - interval '1 hour' from pgsolo.cursor`)
	})
	tt.wantCount("while the handler has not finished it", 1)
	tt.cursor("h", "t", "{[1,1000)}")
	tt.exec(`grant delete on pgsolo.event to retention_stranger`)
	pgtest.Eventually(t, "the event to be deleted", gone("pgsolo.event"))
	tt.add("t", time.Hour)
	pgtest.Eventually(t, "another event to be deleted", gone("pgsolo.event"))
	end()
	pgtest.Within(t, "the trimmer to end", ended)
	if n := strings.Count(tt.logged.String(), "[WARN]"); n != 1 ||
		!strings.Contains(tt.logged.String(), "permission denied") {
		t.Errorf("want one warning, got\n%s", &tt.logged)
	}
}

func TestExpiredKeysGo(t *testing.T) {
	tt := setupTrim(t, nil)
	tt.exec(`insert into pgsolo.dedup select 't', 'old ' || n, now() - interval '1 hour'
		from generate_series(1, 2500) n`)
	tt.exec(`insert into pgsolo.dedup values ('t', 'new', now() + interval '1 hour')`)
	tx := jobstest.Begin(t, tt.pool) // renews an expired key, and has not committed
	if id := pgtest.Value[*int64](t, tx, `select pgsolo.emit('t', dedup_key => 'old 1')`); id == nil {
		t.Fatal("an expired key has dropped an event")
	}
	tt.mustPass()
	jobstest.Commit(t, tx)
	tt.mustPass()
	got := collect[string](t, tt.pool, `select dedup_key from pgsolo.dedup order by 1`)
	if diff := cmp.Diff([]string{"new", "old 1"}, got); diff != "" {
		t.Errorf("keys left -want +got\n%s", diff)
	}
}
