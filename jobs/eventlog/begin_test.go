package eventlog

import (
	"context"
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
)

// A leadership may be lost before the engine has begun.
func TestLeadershipThatIsLostBeforeItBegins(t *testing.T) {
	t.Parallel()
	handler, _ := recorder("h", "t")
	runner, err := New(Options{Pool: jobstest.Pool(t), Handlers: []Handler{handler}})
	if err != nil {
		t.Fatal(err)
	}
	lost, lose := context.WithCancel(t.Context())
	lose()
	for range 20 { // of what is ready at the same time, chance decides
		if err := runner.Run(lost, jobs.Lead{Number: 1}); err != nil {
			t.Fatal(err)
		}
	}
}

// A claim may wait for an operator's lock, for which a handover does not wait, nor another handler.
func TestHandoverWhileACursorIsLocked(t *testing.T) {
	t.Parallel()
	pool := jobstest.Pool(t)
	locked, _ := recorder("locked", "t")
	free, events := recorder("free", "t")
	l := lead(t, pool, 1, locked, free)
	pgtest.Eventually(t, "both cursors", func() bool {
		return pgtest.Value[int](t, pool, `select count(*) from pgsolo.cursor`) == 2
	})
	l.quit()

	operator, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = operator.Rollback(context.WithoutCancel(t.Context())) }()
	const lock = `select from pgsolo.cursor where handler = 'locked' for update`
	if _, err := operator.Exec(t.Context(), lock); err != nil {
		t.Fatal(err)
	}
	l = lead(t, pool, 2, locked, free)
	jobstest.Emit(t, pool, "t", `1`)
	pgtest.Within(t, "the event of the other handler", events)
	l.quit()
}
