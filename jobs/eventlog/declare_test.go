package eventlog

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
)

func TestLeaderMakesItsTopicsKnown(t *testing.T) {
	handler, _ := recorder("h", "orders")
	for name, test := range map[string]struct {
		topics []Topic
		want   []string // nil: any
	}{
		"those of the handlers": {nil, []string{"orders"}},
		"and those that it lists": {[]Topic{{Name: "audit"}, {Name: "orders", Retention: time.Hour}},
			[]string{"audit", "orders"}},
		"any": {[]Topic{{Name: "audit"}, {Name: "*"}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			pool := jobstest.Pool(t)
			jobstest.MustExec(t, pool, `select pgsolo.know('main', '{before}')`)
			leadWith(t, 1, Options{
				Pool: pool, Handlers: []Handler{handler}, Topics: test.topics, ForgetAfter: jobs.ForgetAtOnce,
			})
			pgtest.Eventually(t, "the topics", func() bool {
				return cmp.Equal(pgtest.Value[[]string](t, pool, `select pgsolo.known_topics()`), test.want)
			})
		})
	}
}

// A leader that has been replaced changes nothing of what the newer one has declared, and cannot claim the cursor of a
// handler that the newer one does not have.
func TestTopicsOfAStaleLeader(t *testing.T) {
	pool := jobstest.Pool(t)
	removed, _ := recorder("removed", "old")
	kept, _ := recorder("kept", "new")
	other, _ := recorder("other", "old")
	for _, before := range []Options{
		{Pool: pool, Handlers: []Handler{removed}, ForgetAfter: jobs.ForgetAtOnce},
		{Pool: pool, Group: "other", Handlers: []Handler{other}}, // the cursors of which are not this group's
	} {
		l := leadWith(t, 1, before)
		pgtest.Eventually(t, "the topics", func() bool {
			return pgtest.Value[bool](t, pool, `select exists (select from pgsolo.topic where "group" = $1)`,
				l.runner.options.Group)
		})
		l.quit()
	}
	// Nor is that of a version that knew no topics.
	jobstest.MustExec(t, pool, `insert into pgsolo.cursor (handler, term) values ('ancient', 1)`)
	leadWith(t, 2, Options{Pool: pool, Handlers: []Handler{kept}, ForgetAfter: jobs.ForgetAtOnce})
	const cursors = `select string_agg(concat_ws(' ', handler, "group", topic, configured, term), ', ' order by handler)
		from pgsolo.cursor`
	const want = `ancient main  t 1, kept main new t 2, other other old t 1, removed main old f 2`
	pgtest.Eventually(t, "the marks", func() bool { return pgtest.Value[string](t, pool, cursors) == want })
	if !pgtest.Value[bool](t, pool, `select noted_by = term from pgsolo.cursor where handler = 'removed'`) {
		t.Error("what was noted of the log for a handler is forgotten when its cursor is fenced")
	}
	pgtest.Eventually(t, "the topics", func() bool {
		// old: the other group's
		return cmp.Equal(pgtest.Value[[]string](t, pool, `select pgsolo.known_topics()`), []string{"new", "old"})
	})

	stale := leadWith(t, 1, Options{Pool: pool, Handlers: []Handler{removed}})
	if err := pgtest.Within(t, "the stale leader to end", stale.ended); !errors.Is(err, jobs.ErrFenced) {
		t.Errorf("the stale leader ended with %v, want ErrFenced", err)
	}
	idle, err := New(Options{Pool: pool})
	if err != nil {
		t.Fatal(err)
	}
	// it has no cursor to be fenced by
	if err := idle.declare(leadership(t, 1), make(chan struct{})); !errors.Is(err, jobs.ErrFenced) {
		t.Errorf("topics of a stale leader: %v, want ErrFenced", err)
	}
	if got := pgtest.Value[string](t, pool, cursors); got != want {
		t.Errorf("cursors: got %s, want %s", got, want)
	}
	if diff := cmp.Diff([]string{"new", "old"},
		pgtest.Value[[]string](t, pool, `select pgsolo.known_topics()`)); diff != "" {
		t.Errorf("topics after the stale leader: -want +got\n%s", diff)
	}

	back, _ := recorder("removed", "another") // it may come back, with another topic and in another group
	leadWith(t, 3, Options{Pool: pool, Group: "third", Handlers: []Handler{back}})
	pgtest.Eventually(t, "the claim", func() bool {
		return strings.Contains(pgtest.Value[string](t, pool, cursors), "removed third another t 3")
	})
}

func TestLeaderThatMayNotReplaceTheTopics(t *testing.T) {
	pool := jobstest.Pool(t)
	jobstest.MustExec(t, pool, `select pgsolo.know('main', '{t}')`)
	limited := jobstest.RoleOf(t, pool, `grant select, insert, update, delete on all tables in schema pgsolo to {role}`,
		`grant select, update on all sequences in schema pgsolo to {role}`,
		`grant execute on function pgsolo.arm to {role}`)
	log := newLogged()
	handler, events := recorder("h", "t")
	leadWith(t, 1, Options{Pool: limited, Handlers: []Handler{handler}, Topics: []Topic{{Name: "more"}}, Logger: log})
	pgtest.Within(t, "a warning", log.wait("grant execute on function pgsolo.know to "))
	jobstest.Emit(t, pool, "t", `1`)
	pgtest.Within(t, "an event", events)
	if diff := cmp.Diff([]string{"t"}, pgtest.Value[[]string](t, pool, `select pgsolo.known_topics()`)); diff != "" {
		t.Errorf("topics: -want +got\n%s", diff)
	}
}

// The topics take their time to be known, where another session holds their table. No handler waits for that.
func TestTopicsDelayNoHandler(t *testing.T) {
	pool := jobstest.Pool(t)
	gate := jobstest.Begin(t, pool)
	jobstest.MustExec(t, gate, `lock table pgsolo.topic in share row exclusive mode`)
	jobstest.Emit(t, pool, "t", `1`)
	handler, events := recorder("h", "t")
	l := lead(t, pool, 1, handler)
	pgtest.Within(t, "the event from before", events)
	jobstest.Emit(t, pool, "t", `1`)
	pgtest.Within(t, "the next one", events)
	jobstest.Commit(t, gate)
	pgtest.Eventually(t, "the topics", func() bool {
		return pgtest.Value[bool](t, pool, `select exists (select from pgsolo.topic)`)
	})
	l.quit()
}

// A handover waits neither for the declaration nor for the read of what is held back, and is one as planned.
func TestHandoverWaitsForNoDeclaration(t *testing.T) {
	for name, lock := range map[string]string{
		"the declaration":   `lock table pgsolo.topic in share row exclusive mode`,
		"what is held back": `lock table pgsolo.event in access exclusive mode`,
	} {
		t.Run(name, func(t *testing.T) {
			pool := jobstest.Pool(t)
			gate := jobstest.Begin(t, pool)
			jobstest.MustExec(t, gate, lock)
			l := leadWith(t, 1, Options{Pool: pool, Topics: []Topic{{Name: "t"}}})
			pgtest.Eventually(t, "the leader's lock, and one that waits", func() bool {
				return pgtest.Value[bool](t, pool, `select pgsolo.is_led('main') and exists (
					select from pg_locks where locktype = 'relation' and not granted
						and relation in ('pgsolo.topic'::regclass, 'pgsolo.event'::regclass))`)
			})
			began := time.Now()
			l.quit()
			if took := time.Since(began); took > pgtest.Patience/4 { // the read may take a minute
				t.Errorf("the leader has taken %s to stop", took)
			}
			if !pgtest.Value[bool](t, pool, `select pgsolo.has_left('main')`) {
				t.Error("the leader has not stopped as planned")
			}
		})
	}
}

// What a role that may not declare has claimed holds back the log all the same: also what no leader had for long.
func TestClaimedHandlerIsConfiguredWithoutADeclaration(t *testing.T) {
	pool := jobstest.Pool(t)
	handler, events := recorder("h", "t")
	jobstest.MustExec(t, pool, `insert into pgsolo.cursor (handler, topic, configured, done) values
		('h', 't', false, '{}'), ('gone', 't', false, '{}')`)
	jobstest.MustExec(t, pool, `insert into pgsolo.undeclared (kind, "group", name, led, retired) values
		('handler', 'main', 'h', 0, true), ('handler', 'main', 'gone', 0, true)`)
	limited := jobstest.RoleOf(t, pool, `grant select, insert, update, delete on all tables in schema pgsolo to {role}`,
		`grant select, update on all sequences in schema pgsolo to {role}`,
		`grant execute on function pgsolo.arm to {role}`)
	leadWith(t, 1, Options{Pool: limited, Handlers: []Handler{handler}, Topics: []Topic{{Name: "t"}}})
	pgtest.Eventually(t, "the mark", func() bool {
		return pgtest.Value[string](t, pool,
			`select coalesce(string_agg(handler, ' '), '') from pgsolo.cursor where configured`) == "h"
	})
	jobstest.Emit(t, pool, "t", `1`)
	pgtest.Within(t, "an event", events)
}

// What is past its retention goes once every handler of its topic is done with it.
func TestLeaderTrims(t *testing.T) {
	pool := jobstest.Pool(t)
	release := make(chan struct{})
	keep, _ := recorder("keep", "kept")
	l := leadWith(t, 1, Options{
		Pool: pool, Topics: []Topic{{Name: "t", Retention: time.Millisecond}},
		Handlers: []Handler{keep,
			{Name: "h", Topic: "t", Handle: func(context.Context, Event) error { <-release; return nil }}},
	})
	pgtest.Eventually(t, "the topics", func() bool {
		return pgtest.Value[bool](t, pool, `select exists (select from pgsolo.topic where topic = 'kept')`)
	})
	jobstest.Emit(t, pool, "kept", `1`)
	jobstest.Emit(t, pool, "t", `1`)
	close(release)
	pgtest.Eventually(t, "the trimmer", func() bool {
		return pgtest.Value[string](t, pool, `select string_agg(topic, ' ') from pgsolo.event`) == "kept"
	})
	l.quit()
}

// logged is a logger that announces a line.
type logged struct {
	hclog.Logger
	mu    sync.Mutex // guards all below
	text  strings.Builder
	waits map[string]chan struct{}
}

func newLogged() *logged {
	l := &logged{waits: map[string]chan struct{}{}}
	l.Logger = hclog.New(&hclog.LoggerOptions{Output: l, Level: hclog.Debug})
	return l
}

func (l *logged) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(line)
	for part, seen := range l.waits {
		if strings.Contains(l.text.String(), part) {
			close(seen)
			delete(l.waits, part)
		}
	}
	return len(line), nil
}

// wait returns what is closed when the log has this.
func (l *logged) wait(part string) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := make(chan struct{})
	if strings.Contains(l.text.String(), part) {
		close(seen)
	} else {
		l.waits[part] = seen
	}
	return seen
}
