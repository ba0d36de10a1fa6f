package jobs

import (
	"strings"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

func TestPulse(t *testing.T) {
	var p pulse
	if err := p.check("a loop"); err != nil {
		t.Errorf("a loop that does not run: %v", err)
	}
	p.beat()
	if err := p.check("a loop"); err != nil {
		t.Errorf("a loop that has just moved: %v", err)
	}
	p.at.Store(time.Now().Add(-time.Minute).UnixNano())
	if err := p.check("a loop"); err == nil || !strings.Contains(err.Error(), "a loop has not moved for 1m0s") {
		t.Errorf("a loop that is stuck: %v", err)
	}
	p.end()
	if err := p.check("a loop"); err != nil {
		t.Errorf("a loop that has ended: %v", err)
	}
}

// A handler that runs long does not make its leader look stuck.
func TestLongHandlerIsHealthy(t *testing.T) {
	pool := setup(t)
	handler, events := recorder("h", "t")
	l := lead(t, pool, 1, handler)
	emit(t, pool, "t", `1`)
	pgtest.Within(t, "the event", events)
	at := l.runner.consumers[0].pulse.at.Load()
	pgtest.Eventually(t, "the loop to move although there is nothing to do", func() bool { return l.runner.consumers[0].pulse.at.Load() > at })
	if err := l.runner.Healthy(); err != nil {
		t.Error(err)
	}
	l.quit()
	if err := l.runner.Healthy(); err != nil {
		t.Errorf("after the end: %v", err)
	}
}
