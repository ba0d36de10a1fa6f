package eventlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
)

// restart is a log whose counter is set back between two terms.
type restart struct {
	t       *testing.T
	pool    *pgxpool.Pool
	handled chan string // payloads
	logged  pgtest.Buffer
	term    int64
}

func setupRestart(t *testing.T) *restart {
	return &restart{t: t, pool: jobstest.Pool(t), handled: make(chan string, 1000)}
}

// lead runs the handler h, which fails for payloads of words with an f.
func (r *restart) lead(change ...func(*Handler)) *leader {
	r.t.Helper()
	h := Handler{Name: "h", Topic: "t", Retry: jobs.Retry{Attempts: 1}, Handle: func(_ context.Context, e Event) error {
		r.handled <- string(e.Payload)
		if strings.Contains(string(e.Payload), "f") {
			return errors.New("fails")
		}
		return nil
	}}
	for _, c := range change {
		c(&h)
	}
	r.term++
	return leadWith(r.t, r.term, Options{Pool: r.pool, Handlers: []Handler{h}, Topics: []Topic{{Name: "*"}},
		Logger: hclog.New(&hclog.LoggerOptions{Output: &r.logged, Level: hclog.Warn})})
}

func (r *restart) emit(db jobstest.Execer, payloads ...string) {
	r.t.Helper()
	for _, p := range payloads {
		jobstest.Emit(r.t, db, "t", `"`+p+`"`)
	}
}

// wants waits for the handling of all these events, in any order, and of no other.
func (r *restart) wants(when string, payloads ...string) {
	r.t.Helper()
	var got []string
	for range payloads {
		payload := pgtest.Within(r.t, fmt.Sprintf("%s: %v, after %v", when, payloads, got), r.handled)
		got = append(got, strings.Trim(payload, `"`))
	}
	slices.Sort(got)
	want := slices.Sorted(slices.Values(payloads))
	if !slices.Equal(got, want) {
		r.t.Errorf("%s: handled %v, want %v", when, got, want)
	}
}

// done waits until everything that was emitted is done.
func (r *restart) done() {
	r.t.Helper()
	pgtest.Eventually(r.t, "all to be done", func() bool {
		return pgtest.Value[int](r.t, r.pool, `select unfinished from pgsolo.handler`) == 0
	})
}

const truncate = `truncate pgsolo.event restart identity`

// Whatever sets the counter back, events emitted before, during and after the next claim are handled.
func TestCounterThatWentBack(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		setBack string   // after the events 1 to 5
		again   []string // of these, what comes again
		logged  string
	}{
		"truncated": {setBack: truncate, logged: "began again"},
		"rows deleted, and sequence set back": {
			setBack: `delete from pgsolo.event; select setval('pgsolo.event_id_seq', 1, false)`, logged: "began again"},
		"sequence set back to the middle of what is gone": {
			setBack: `delete from pgsolo.event where id > 2; select setval('pgsolo.event_id_seq', 2)`,
			logged:  "began again"},
		"the log and its sequence restored from an old dump": {setBack: `
			create table dump as select * from pgsolo.event where id <= 3;
			truncate pgsolo.event; insert into pgsolo.event select * from dump;
			select setval('pgsolo.event_id_seq', 3)`, logged: "began again"},
		"the tables made anew and restored": {setBack: `
			create table dump as select * from pgsolo.event where id <= 3;
			truncate pgsolo.event restart identity; insert into pgsolo.event select * from dump;
			select setval('pgsolo.event_id_seq', 3)`, logged: "began again"},
		"sequence behind the log": {setBack: `select setval('pgsolo.event_id_seq', 1, false)`, logged: "was raised"},
		"sequence behind a log that retention has trimmed": {
			setBack: `delete from pgsolo.event where id <= 4; select setval('pgsolo.event_id_seq', 1, false)`,
			logged:  "was raised"},
	} {
		for _, before := range []int{0, 1, 3, 20} {
			if before > 3 && strings.Contains(test.logged, "raised") {
				continue // the producer finds the ids in use
			}
			if name == "sequence behind the log" && before > 0 {
				continue
			}
			t.Run(fmt.Sprintf("%s, %d events before the claim", name, before), func(t *testing.T) {
				r := setupRestart(t)
				l := r.lead()
				r.emit(r.pool, "1", "2", "3", "4", "5")
				r.wants("at first", "1", "2", "3", "4", "5")
				r.done()
				l.quit()
				jobstest.MustExec(t, r.pool, test.setBack)
				want := slices.Clone(test.again)
				emit := func(db jobstest.Execer, payload string) {
					r.emit(db, payload)
					want = append(want, payload)
				}
				for i := range before {
					emit(r.pool, fmt.Sprintf("b%d", i))
				}
				var open pgx.Tx
				if !strings.Contains(test.logged, "raised") {
					open = jobstest.Begin(t, r.pool)
					r.emit(open, "open")
				}
				l = r.lead()
				r.wants("after the claim", want...)
				pgtest.Eventually(t, "the line in the log", func() bool { return r.logged.String() != "" })
				if open != nil {
					jobstest.Commit(t, open)
					r.wants("after the commit", "open")
				}
				r.emit(r.pool, "a1", "a2", "a3", "a4", "a5", "a6")
				r.wants("later", "a1", "a2", "a3", "a4", "a5", "a6")
				r.done()
				l.quit()
				if logged := r.logged.String(); strings.Count(logged, test.logged) != 1 {
					t.Errorf("logged:\n%s", logged)
				}
				l = r.lead()
				r.emit(r.pool, "last")
				r.wants("of the next leader", "last")
				l.quit()
				if logged := r.logged.String(); strings.Count(logged, "[ERROR]") != 1 {
					t.Errorf("logged:\n%s", logged)
				}
			})
		}
	}
}

// All of an open transaction's events may be under ids that are done, and none of them is visible at the claim.
func TestCounterThatWentBackUnderOneTransaction(t *testing.T) {
	r := setupRestart(t)
	l := r.lead()
	r.emit(r.pool, "1", "2", "3")
	r.wants("at first", "1", "2", "3")
	r.done()
	l.quit()
	jobstest.MustExec(t, r.pool, truncate)
	open := jobstest.Begin(t, r.pool)
	r.emit(open, "a", "b", "c", "d", "e")
	l = r.lead()
	pgtest.Eventually(t, "the claim", func() bool {
		return pgtest.Value[int64](t, r.pool, `select term from pgsolo.cursor`) == r.term
	})
	jobstest.Commit(t, open)
	r.wants("after the commit", "a", "b", "c", "d", "e")
	l.quit()
}

// A leader whose log begins again ends, also where the sequence has passed at once what had been given out.
func TestLogBeginsAgainUnderALeader(t *testing.T) {
	for _, count := range []int{2, 5, 30} {
		t.Run(fmt.Sprint(count, " events"), func(t *testing.T) {
			r := setupRestart(t)
			l := r.lead()
			r.emit(r.pool, "1", "2", "3", "4", "5")
			r.wants("at first", "1", "2", "3", "4", "5")
			pgtest.Eventually(t, "a proof about them", func() bool {
				return pgtest.Value[int64](t, r.pool, `select checked_id from pgsolo.log`) == 5
			})
			tx := jobstest.Begin(t, r.pool)
			jobstest.MustExec(t, tx, truncate)
			var want []string
			for i := range count {
				want = append(want, fmt.Sprintf("a%d", i))
			}
			r.emit(tx, want...)
			jobstest.Commit(t, tx)
			if err := pgtest.Within(t, "the end of the leader", l.ended); err == nil ||
				!strings.Contains(err.Error(), "has gone back") {
				t.Errorf("the leader ended with %v", err)
			}
			for len(r.handled) > 0 { // those above
				payload := strings.Trim(<-r.handled, `"`)
				want = slices.DeleteFunc(want, func(w string) bool { return w == payload })
			}
			// What it had done with before it noticed may come again.
			l = r.lead()
			for len(want) > 0 {
				payload := strings.Trim(pgtest.Within(t, fmt.Sprint("events ", want), r.handled), `"`)
				want = slices.DeleteFunc(want, func(w string) bool { return w == payload })
			}
			l.quit()
		})
	}
}

// Nothing contradicts where nobody sets a counter back, whatever dates events have, and whoever wrote the progress.
func TestNothingComesAgainWithoutContradiction(t *testing.T) {
	r := setupRestart(t)
	l := r.lead()
	jobstest.MustExec(t, r.pool, `insert into pgsolo.event (topic, payload, created_at)
		values ('t', '"1"', now() + interval '1 year'), ('t', '"2"', now() - interval '1 year')`)
	r.wants("dated by their producer", "1", "2")
	r.done()
	l.quit()
	l = r.lead() // what it finds is what term 1 has noted
	r.emit(r.pool, "3")
	r.wants("in the next term", "3")
	r.done()
	l.quit()
	jobstest.MustExec(t, r.pool, `update pgsolo.event set payload = '"changed"' where id = 3`)
	r.emit(r.pool, "4", "5")
	// As a leader of the version before, which notes nothing.
	jobstest.MustExec(t, r.pool, `update pgsolo.cursor set term = 8, seen_at = now() - interval '1 minute';
		update pgsolo.cursor set done = done + '{[4,6)}' where term = 8`)
	r.term = 8
	l = r.lead()
	r.emit(r.pool, "6")
	r.wants("after the version before", "6")
	l.quit()
	jobstest.MustExec(t, r.pool, `delete from pgsolo.event`) // as retention does
	l = r.lead()
	r.emit(r.pool, "7")
	r.wants("after retention", "7")
	r.done()
	l.quit()
	if strings.Contains(r.logged.String(), "ERROR") {
		t.Errorf("logged:\n%s", &r.logged)
	}
	if epochs := pgtest.Value[int](t, r.pool, `select count(*) from pgsolo.log`); epochs != 1 {
		t.Errorf("%d epochs", epochs)
	}
}

// A handler whose group has no leader when the log begins again learns of it at its claim, also when the sequence has
// passed by then what it had done.
func TestLogBeganAgainBeforeAHandlerCameBack(t *testing.T) {
	r := setupRestart(t)
	late := func(h *Handler) { h.Name = "late" }
	l := r.lead(late)
	r.emit(r.pool, "1", "2", "3")
	r.wants("of the one that goes", "1", "2", "3")
	r.done()
	l.quit()
	l = r.lead()
	r.wants("of the one that stays", "1", "2", "3")
	l.quit()
	jobstest.MustExec(t, r.pool, truncate)
	l = r.lead()
	r.emit(r.pool, "a", "b", "c", "d", "e")
	r.wants("afterwards", "a", "b", "c", "d", "e")
	l.quit()
	l = r.lead(late)
	r.wants("of the one that comes back", "a", "b", "c", "d", "e")
	l.quit()
}

// A new handler that begins with the latest does not get what is in the log, although the sequence is below it.
func TestLatestWithASequenceBehindTheLog(t *testing.T) {
	r := setupRestart(t)
	r.emit(r.pool, "1", "2", "3")
	jobstest.MustExec(t, r.pool, `select setval('pgsolo.event_id_seq', 1)`)
	l := r.lead(func(h *Handler) { h.Start = StartLatest })
	pgtest.Eventually(t, "the sequence to be raised", func() bool {
		return pgtest.Value[int64](t, r.pool, `select last_value from pgsolo.event_id_seq`) == 3
	})
	r.emit(r.pool, "4")
	r.wants("only the latest", "4")
	l.quit()
}

// A role that may not look into it goes on as before, and the log says so.
func TestCounterThatWentBackForARoleWithoutTheGrant(t *testing.T) {
	r := setupRestart(t)
	l := r.lead()
	r.emit(r.pool, "1", "2")
	r.wants("at first", "1", "2")
	r.done()
	l.quit()
	jobstest.MustExec(t, r.pool, truncate)
	owner := r.pool
	r.pool = jobstest.RoleOf(t, owner, `grant select, insert, update, delete on all tables in schema pgsolo to {role}`,
		`grant select, update on all sequences in schema pgsolo to {role}`,
		`grant execute on function pgsolo.arm to {role}`)
	l = r.lead()
	pgtest.Eventually(t, "the line in the log", func() bool {
		return strings.Contains(r.logged.String(), "grant execute on function pgsolo.check_log to ")
	})
	l.cancel(nil)
	pgtest.Within(t, "end", l.ended)
	jobstest.MustExec(t, owner, `grant execute on function pgsolo.check_log to public`)
	l = r.lead()
	r.emit(owner, "a", "b")
	r.wants("with the grant", "a", "b")
	l.quit()
}

// A sequence that gives sessions ids in advance is refused by its name, with the remedy.
func TestSequenceWithACache(t *testing.T) {
	pool := jobstest.Pool(t)
	for _, change := range []string{`cache 20`, `increment -1`, `cycle`} {
		jobstest.MustExec(t, pool, `alter sequence pgsolo.event_id_seq cache 1 increment 1 no cycle`)
		if err := jobs.CheckLog(t.Context(), jobstest.OwnSession(t, pool), jobs.DefaultSchema); err != nil {
			t.Error(err)
		}
		ran := lead(t, pool, 1, Handler{Name: "h", Topic: "t", Handle: ignore})
		pgtest.Eventually(t, "the claim", func() bool { return ran.runner.handlers[0].Claim() != nil })
		jobstest.MustExec(t, pool, `alter sequence pgsolo.event_id_seq `+change)
		l := lead(t, pool, 1, Handler{Name: "h", Topic: "t", Handle: ignore})
		for _, err := range []error{
			pgtest.Within(t, "the end of the leader that has seen the change", ran.ended),
			pgtest.Within(t, "the end of the leader", l.ended),
			jobs.CheckLog(t.Context(), jobstest.OwnSession(t, pool), jobs.DefaultSchema),
		} {
			if !errors.Is(err, jobs.ErrSchema) || !strings.Contains(err.Error(), "pgsolo.event_id_seq") {
				t.Errorf("%s: %v", change, err)
			}
		}
	}
}
