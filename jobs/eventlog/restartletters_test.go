package eventlog

import (
	"strings"
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// letters are the payloads of the dead letters.
func (r *restart) letters() string {
	r.t.Helper()
	return pgtest.Value[string](r.t, r.pool, `select coalesce(string_agg(payload #>> '{}', ' ' order by event_id), '')
		from pgsolo.dead_letter`)
}

// Dead letters of a log that began again stay, beside those of new events that get their ids.
func TestDeadLettersOfALogThatBeganAgain(t *testing.T) {
	t.Parallel()
	r := setupRestart(t)
	l := r.lead()
	r.emit(r.pool, "1f", "2", "3f")
	r.wants("at first", "1f", "2", "3f")
	pgtest.Eventually(t, "the dead letters", func() bool { return r.letters() == "1f 3f" })
	r.done()
	l.quit()
	jobstest.MustExec(t, r.pool, truncate)
	l = r.lead()
	r.emit(r.pool, "a1f", "a2f", "a3f")
	r.wants("afterwards", "a1f", "a2f", "a3f")
	pgtest.Eventually(t, "the dead letters of both", func() bool { return r.letters() == "1f 3f a1f a2f a3f" })
	if replayed := pgtest.Value[int64](t, r.pool, `select pgsolo.replay('h', of_event => -1)`); replayed != 1 {
		t.Errorf("%d replayed", replayed)
	}
	r.wants("replayed", "3f")
	l.quit()
}

// Of a log that began again twice, the oldest dead letters stand first, and each time is one epoch. The rows that say
// so are not deleted by hand.
func TestDeadLettersOfALogThatBeganAgainTwice(t *testing.T) {
	t.Parallel()
	r := setupRestart(t)
	want := ""
	for round, events := range [][]string{{"1f", "2f"}, {"a1f", "a2f", "a3f"}, {"b1f"}} {
		if round > 0 {
			jobstest.MustExec(t, r.pool, truncate)
		}
		l := r.lead()
		r.emit(r.pool, events...)
		r.wants("in this log", events...)
		want = strings.TrimSpace(want + " " + strings.Join(events, " "))
		pgtest.Eventually(t, "the dead letters "+want, func() bool { return r.letters() == want })
		r.done()
		l.quit()
	}
	if n := pgtest.Value[int](t, r.pool, `select count(*) from pgsolo.log where finding = 'began again'`); n != 2 {
		t.Errorf("the log began again %d times, want 2", n)
	}
	if _, err := r.pool.Exec(t.Context(), `delete from pgsolo.log`); err == nil ||
		!strings.Contains(err.Error(), "which event log") {
		t.Errorf("deleted: %v", err)
	}
}
