package trial

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/loop"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// leaders are terms of the handlers "a" and "b", with one event of a topic that both have.
type leaders struct {
	t     *testing.T
	pool  *pgxpool.Pool
	group string
	term  int64
}

func setup(t *testing.T) *leaders {
	l := &leaders{t: t, pool: jobstest.Pool(t), group: "main"}
	jobstest.EmitMany(t, l.pool, 3)
	return l
}

// begin makes the next term. end ends it as planned; where it is not called, the process has died.
func (l *leaders) begin() (trials *Trials, end func()) {
	l.t.Helper()
	l.term++
	jobstest.MustExec(l.t, l.pool, `insert into pgsolo.cursor as c (handler, topic, term)
		values ('a', 't', $1), ('b', 't', $1)
		on conflict (handler) do update set term = excluded.term where c."group" = $2`, l.term, l.group)
	return l.beginAgain()
}

func (l *leaders) beginAgain() (trials *Trials, end func()) {
	l.t.Helper()
	trials = New(pg.DB{Pool: l.pool, Schema: jobs.DefaultSchema}, l.group, l.term, hclog.NewNullLogger())
	stopping, ended := make(chan struct{}), make(chan error, 1)
	lead, endLead := loop.Lead(context.Background(), l.term, "", stopping, nil)
	go func() { ended <- trials.Run(context.Background(), lead, []string{"a", "b"}, func() {}) }()
	pgtest.Within(l.t, "what is known", trials.known)
	over := func(planned bool) {
		if !planned {
			trials.store.term = -1 // it writes nothing more
		}
		endLead()
		if err := pgtest.Within(l.t, "the trials to end", ended); err != nil {
			l.t.Error(err)
		}
	}
	planned := false
	l.t.Cleanup(func() {
		if !planned {
			over(false)
		}
	})
	return trials, func() { planned = true; over(true) }
}

// of is the trial of a handler with three attempts.
func of(t *Trials, handler string) *Trial { return t.Of(context.Background(), handler, 1, 3) }

func (l *leaders) enter(of *Trial, event int64) *Pass {
	l.t.Helper()
	pass, poison, ok := of.Enter(l.t.Context(), event, false)
	if poison != nil || !ok {
		l.t.Fatalf("event %d: %v, %t", event, poison, ok)
	}
	return pass
}

// Two leaders end while nothing moves. Each of the next three ends with the event alone, and that is enough.
func TestEventThatEndsItsLeaders(t *testing.T) {
	l := setup(t)
	for range 2 {
		trials, _ := l.begin()
		if of(trials, "a") != nil {
			t.Fatal("events are tried one by one without a reason")
		}
	}
	for range 3 {
		trials, _ := l.begin()
		l.beginAgain() // the answer was lost
		if l.enter(of(trials, "a"), 1) == nil {
			t.Fatal("the event is not tried alone")
		}
	}
	trials, end := l.begin()
	if _, poison, ok := of(trials, "a").Enter(t.Context(), 1, false); !ok || poison == nil ||
		!strings.Contains(poison.Error(), "its leader ended 3 times while it alone was under way") {
		t.Errorf("got %v, %t", poison, ok)
	} else if _, _, final := jobs.Asked(poison); !final {
		t.Error("it is attempted again")
	}
	if pass, poison, _ := of(trials, "b").Enter(t.Context(), 1, false); pass == nil || poison != nil {
		t.Errorf("the same event of another handler: %v", poison)
	}
	end()
}

// What happens in between makes the next leader begin as always.
func TestReasonsThatAreNone(t *testing.T) {
	for name, test := range map[string]func(l *leaders, end func()){
		"planned stop": func(_ *leaders, end func()) { end() },
		"restart of the server": func(l *leaders, _ func()) {
			jobstest.MustExec(l.t, l.pool, `update pgsolo.handler_term set server = 'before'`)
		},
		"the lowest event is done": func(l *leaders, _ func()) {
			jobstest.MustExec(l.t, l.pool,
				`update pgsolo.cursor set done = done + int8multirange(int8range(1, $1 + 1))`, l.term)
		},
		"what is due is of a topic that was left": func(l *leaders, _ func()) {
			jobstest.MustExec(l.t, l.pool, `update pgsolo.cursor set done = '{[1,4)}'`)
			jobstest.MustExec(l.t, l.pool, `insert into pgsolo.delivery
					(handler, event_id, topic, payload, headers, created_at, attempt, state, next_at, error)
				values ('a', 9, 'left', '{}', '{}', now(), 1, 'retry', '-infinity', 'x') on conflict do nothing`)
			jobstest.MustExec(l.t, l.pool, `insert into pgsolo.handler_cut_off (handler, event_id, ends)
				values ('a', 9, 2) on conflict do nothing`)
		},
		"nothing to do": func(l *leaders, _ func()) {
			jobstest.MustExec(l.t, l.pool, `update pgsolo.cursor set done = '{[1,4)}'`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := setup(t)
			for range 3 {
				trials, end := l.begin()
				if of(trials, "a") != nil {
					t.Error("events are tried one by one")
				}
				test(l, end)
			}
		})
	}
}

// A planned stop and a restart of the server count nothing while an event is alone, and neither does an end of another
// leader's.
func TestAloneAtAnEndThatIsExplained(t *testing.T) {
	l := setup(t)
	l.begin()
	l.begin()
	for range 10 {
		trials, _ := l.begin()
		l.enter(of(trials, "a"), 1)
		jobstest.MustExec(t, l.pool, `update pgsolo.handler_term set server = 'before'`)
	}
	for range 10 {
		trials, end := l.begin()
		l.enter(of(trials, "a"), 1)
		end()
	}
	if n := pgtest.Value[int](t, l.pool, `select count(*) from pgsolo.handler_cut_off`); n != 0 {
		t.Errorf("%d events are counted", n)
	}
}

// Events of handlers of one runner are alone one after the other; what was not under way before begins after them. An
// event that ends by itself is cleared of what was counted.
func TestTakesTurns(t *testing.T) {
	l := setup(t)
	l.begin()
	l.begin()
	trials, _ := l.begin()
	l.enter(of(trials, "a"), 2)
	trials, end := l.begin() // 2 was cut off once
	a, b := of(trials, "a"), of(trials, "b")
	a.left[false], b.left[false] = 1, 1
	first := l.enter(a, 2)
	second, later := make(chan *Pass, 1), make(chan bool, 1)
	go func() {
		pass, _, _ := b.Enter(context.Background(), 1, false)
		second <- pass
	}()
	go func() {
		_, _, ok := a.Enter(context.Background(), 3, false)
		later <- ok
	}()
	pgtest.Eventually(t, "both to be entered", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.open == 1
	})
	select {
	case <-second:
		t.Error("two events are alone")
	case <-later:
		t.Error("an event begins beside one that is tried")
	default:
	}
	first.Leave(t.Context(), true)
	pgtest.Within(t, "the second", second).Leave(t.Context(), true)
	if !pgtest.Within(t, "the one after them", later) {
		t.Error("it does not begin")
	}
	if n := pgtest.Value[int](t, l.pool, `select count(*) from pgsolo.handler_cut_off`); n != 0 {
		t.Errorf("%d events are counted", n)
	}
	end()
}

// What was counted of an event is forgotten when it is done, or a dead letter.
func TestForgetsWhatIsSettled(t *testing.T) {
	l := setup(t)
	l.begin()
	l.begin()
	trials, _ := l.begin()
	l.enter(of(trials, "a"), 1)
	trials, end := l.begin()
	if of(trials, "a") == nil {
		t.Error("the event is not tried alone")
	}
	end()
	jobstest.MustExec(t, l.pool, `update pgsolo.cursor set done = '{[1,4)}'`)
	trials, end = l.begin()
	if of(trials, "a") != nil {
		t.Error("events are tried one by one, which are done")
	}
	end()
}

// A handler that is held back has its events tried by nobody but the group that has it, whose leaders count for
// themselves, whatever their terms.
func TestHandlerOfAnotherGroup(t *testing.T) {
	l := setup(t)
	l.begin()
	jobstest.MustExec(t, l.pool, `update pgsolo.cursor set "group" = 'other' where handler = 'a'`)
	other := &leaders{t: t, pool: l.pool, group: "other", term: 500}
	for range 2 {
		l.begin()
		other.begin()
	}
	trials, end := l.begin()
	if of(trials, "a") != nil || of(trials, "b") == nil {
		t.Error("want events of b alone to be tried")
	}
	end()
	trials, _ = other.begin()
	if of(trials, "a") == nil || of(trials, "b") != nil {
		t.Error("want events of a alone to be tried by the group that has it")
	}
	l.enter(of(trials, "a"), 1)
	other.begin()
	if n := pgtest.Value[int](t, l.pool, `select ends from pgsolo.handler_cut_off where handler = 'a'`); n != 1 {
		t.Errorf("the event has ended %d leaders, want 1", n)
	}

	// The group has it no more: what its leaders did with it before is no reason to try its events.
	jobstest.MustExec(t, l.pool, `update pgsolo.cursor set "group" = 'main', term = 0 where handler = 'a'`)
	jobstest.MustExec(t, l.pool, `delete from pgsolo.handler_cut_off`)
	trials, end = l.begin()
	if of(trials, "a") != nil {
		t.Error("want no events of a to be tried")
	}
	end()
}

// A role without the privilege has its handlers go on as always.
func TestRoleThatMayNot(t *testing.T) {
	l := setup(t)
	limited := jobstest.RoleOf(t, l.pool, `grant select, update on pgsolo.cursor to {role}`)
	l.begin()
	var logged bytes.Buffer
	logger := hclog.New(&hclog.LoggerOptions{Output: &logged})
	trials := New(pg.DB{Pool: limited, Schema: jobs.DefaultSchema}, "main", 2, logger)
	lead, end := loop.Lead(t.Context(), 2, "", nil, nil)
	end()
	if err := trials.Run(t.Context(), lead, []string{"a"}, func() {}); err != nil {
		t.Error(err)
	}
	if of(trials, "a") != nil {
		t.Error("there is a trial")
	}
	if !strings.Contains(logged.String(), "grant select, insert, update on pgsolo.handler_term to ") {
		t.Errorf("want what to do for a role that may not, got %s", &logged)
	}
}

// Another session has locked a row: the handler whose it is waits, and no other one.
func TestRowThatIsLocked(t *testing.T) {
	for name, lock := range map[string]string{
		"as always":      `select from pgsolo.handler_term where handler = 'a' for update`,
		"with something": `select from pgsolo.handler_term where handler = 'a' for update`,
		"cut off":        `select from pgsolo.handler_cut_off where handler = 'a' for update`,
	} {
		t.Run(name, func(t *testing.T) {
			l := setup(t)
			if name == "as always" {
				_, end := l.begin()
				end()
			} else {
				for range 3 {
					trials, _ := l.begin()
					for _, handler := range []string{"a", "b"} {
						if trial := of(trials, handler); trial != nil {
							l.enter(trial, 1).Leave(t.Context(), handler == "b")
						}
					}
				}
				jobstest.MustExec(t, l.pool, `update pgsolo.handler_term set alone = 1 where handler = 'a'`)
				jobstest.MustExec(t, l.pool, `insert into pgsolo.handler_cut_off (handler, event_id, ends)
					values ('a', 1, 1) on conflict do nothing`)
			}
			tx := jobstest.Begin(t, l.pool)
			jobstest.MustExec(t, tx, lock)
			trials, end := l.begin()
			others := of(trials, "b")
			if name == "as always" && others != nil {
				t.Error("the other handler has something to try")
			}
			waited, known := make(chan struct{}), make(chan *Trial, 1)
			go func() {
				known <- of(trials, "a")
				close(waited)
			}()
			pgtest.Eventually(t, "a statement that waits for the lock", func() bool {
				return pgtest.Value[bool](t, l.pool, `select exists (select from pg_locks where not granted)`)
			})
			select {
			case <-waited:
				t.Error("the handler does not wait for its row")
			default:
			}
			if err := tx.Rollback(t.Context()); err != nil {
				t.Fatal(err)
			}
			trial := pgtest.Within(t, "what is known of the handler", known)
			if (trial == nil) != (name == "as always") {
				t.Errorf("its trial: %v", trial)
			}
			end()
			if !pgtest.Value[bool](t, l.pool, `select bool_and(ended and term = $1) from pgsolo.handler_term`, l.term) {
				t.Error("not written that the leader was alive")
			}
		})
	}
}

// A handover does not wait for a row that another session has locked, and the other rows are written.
func TestEndWithALockedRow(t *testing.T) {
	l := setup(t)
	_, end := l.begin()
	tx := jobstest.Begin(t, l.pool)
	jobstest.MustExec(t, tx, `select from pgsolo.handler_term where handler = 'a' for update`)
	end()
	if got := pgtest.Value[string](t, l.pool, `select string_agg(handler || ' ' || ended, ', ' order by handler)
		from pgsolo.handler_term`); got != "a false, b true" {
		t.Errorf("the leader was alive: %s", got)
	}
}

// A row that is locked for long is no matter of privileges.
func TestRowThatIsLockedForLong(t *testing.T) {
	l := setup(t)
	_, end := l.begin()
	end()
	tx := jobstest.Begin(t, l.pool)
	jobstest.MustExec(t, tx, `select from pgsolo.handler_term where handler = 'a' for update`)
	var logged bytes.Buffer
	logger := hclog.New(&hclog.LoggerOptions{Output: &logged})
	trials := New(pg.DB{Pool: l.pool, Schema: jobs.DefaultSchema}, l.group, 2, logger)
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, _, err := trials.begin(short, []string{"a"}, true)
	trials.logNotBegun(t.Context(), err)
	if err == nil || !strings.Contains(logged.String(), "locked rows of handler_term") {
		t.Errorf("want to be told of the lock, got %s", &logged)
	}
}
