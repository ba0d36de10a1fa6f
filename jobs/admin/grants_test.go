package admin

import (
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// A role that reads handlers and dead letters, or changes these, needs a grant on just that.
func TestDeadLetterGrants(t *testing.T) {
	pool := jobstest.Pool(t)
	giveUp(t, pool, "h", "1", "2")
	jobstest.MustExec(t, pool,
		`insert into pgsolo.cursor (handler, done, term) values ('h', '{[1,4)}', 1), ('idle', '{}', 1)`)
	handlers := func() string {
		t.Helper()
		reader, _ := jobstest.SessionOf(t, pool, `grant select on pgsolo.handler, pgsolo.dead_letter to {role}`)
		if _, err := (DeadLetters{}).List(t.Context(), reader, DeadLetterFilter{}, DeadLetterPage{}); err != nil {
			t.Error(err)
		}
		if _, err := (DeadLetters{}).Get(t.Context(), reader, "h", 1); err != nil {
			t.Error(err)
		}
		if _, err := (DeadLetters{}).Discard(t.Context(), reader, DeadLetterFilter{All: true}); err == nil {
			t.Error("a reader could discard")
		}
		return pgtest.Value[string](t, reader, `select
			string_agg(concat_ws(' ', handler, unfinished, waiting, dead), ', ' order by handler)
			from pgsolo.handler`)
	}
	if got := handlers(); got != "h 0 0 2, idle 0 0 0" {
		t.Errorf("before the first event: %s", got)
	}
	for range 5 {
		jobstest.Emit(t, pool, "t", `null`)
	}
	if got := handlers(); got != "h 2 0 2, idle 5 0 0" {
		t.Errorf("after five: %s", got)
	}
	operator, _ := jobstest.SessionOf(t, pool, `grant execute on function pgsolo.replay, pgsolo.discard to {role}`)
	one := DeadLetterFilter{Handler: "h", EventID: 1}
	if n, err := (DeadLetters{}).Replay(t.Context(), operator, one); n != 1 || err != nil {
		t.Errorf("replayed %d, %v", n, err)
	}
	if n, err := (DeadLetters{}).Discard(t.Context(), operator, DeadLetterFilter{All: true}); n != 1 || err != nil {
		t.Errorf("discarded %d, %v", n, err)
	}
}
