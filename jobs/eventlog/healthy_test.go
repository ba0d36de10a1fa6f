package eventlog

import (
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// A handler that runs long does not make its leader look stuck.
func TestLongHandlerIsHealthy(t *testing.T) {
	pool := jobstest.Pool(t)
	handler, events := recorder("h", "t")
	l := lead(t, pool, 1, handler)
	jobstest.Emit(t, pool, "t", `1`)
	pgtest.Within(t, "the event", events)
	at := l.runner.handlers[0].pulse.Last()
	pgtest.Eventually(t, "the loop to move although there is nothing to do", func() bool {
		return l.runner.handlers[0].pulse.Last().After(at)
	})
	if err := l.runner.Healthy(); err != nil {
		t.Error(err)
	}
	l.quit()
	if err := l.runner.Healthy(); err != nil {
		t.Errorf("after the end: %v", err)
	}
}
