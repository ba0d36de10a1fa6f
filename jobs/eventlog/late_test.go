package eventlog

import (
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// A transaction with the lower number commits the higher id, while one that is younger still holds the lower id: the
// snapshot that shows the hole has an xmax no higher than the younger one's number.
func TestYoungerTransactionFillsTheHole(t *testing.T) {
	pool := jobstest.Pool(t)
	handler, events := recorder("h", "t")
	l := lead(t, pool, 1, handler)
	jobstest.Emit(t, pool, "t", `"first"`)
	pgtest.Within(t, "the first event", events)

	pgtest.Eventually(t, "a leader that writes nothing, and takes no number", func() bool {
		return pgtest.Value[bool](t, pool, `select done = '{[1,2)}' from pgsolo.cursor`)
	})
	older, younger := jobstest.Begin(t, pool), jobstest.Begin(t, pool)
	pgtest.Value[string](t, older, `select pg_current_xact_id()::text`)
	late := jobstest.Emit(t, younger, "t", `"late"`)
	next := jobstest.Emit(t, older, "t", `"next"`)
	jobstest.Commit(t, older)
	if got := pgtest.Within(t, "the event above the hole", events); got.ID != next {
		t.Fatalf("got event %d, want %d", got.ID, next)
	}
	for range 3 { // each of these makes the consumer read the hole again
		jobstest.Emit(t, pool, "t", `"more"`)
		pgtest.Within(t, "another event", events)
	}
	pgtest.Eventually(t, "what was read to be written down", func() bool {
		return pgtest.Value[bool](t, pool, `select upper(done) > $1 from pgsolo.cursor`, next+3)
	})
	if pgtest.Value[bool](t, pool, `select done @> $1::bigint from pgsolo.cursor`, late) {
		t.Error("an id that can still be filled is counted as done")
	}
	jobstest.Commit(t, younger)
	if got := pgtest.Within(t, "the late event", events); got.ID != late {
		t.Fatalf("got event %d, want %d", got.ID, late)
	}
	l.quit()
}

// The same for the holes that a leader inherits.
func TestYoungerTransactionFillsAnInheritedHole(t *testing.T) {
	pool := jobstest.Pool(t)
	handler, events := recorder("h", "t")
	first := lead(t, pool, 1, handler)
	younger := jobstest.Begin(t, pool)
	late := jobstest.Emit(t, younger, "t", `"late"`)
	jobstest.Emit(t, pool, "t", `"next"`)
	pgtest.Within(t, "the event above the hole", events)
	first.quit()

	second := lead(t, pool, 2, handler)
	for range 3 {
		jobstest.Emit(t, pool, "t", `"more"`)
		pgtest.Within(t, "another event", events)
	}
	jobstest.Commit(t, younger)
	if got := pgtest.Within(t, "the late event", events); got.ID != late {
		t.Fatalf("got event %d, want %d", got.ID, late)
	}
	second.quit()
}
