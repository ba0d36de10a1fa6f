package loop

import (
	"strings"
	"testing"
	"time"
)

func TestPulse(t *testing.T) {
	var p Pulse
	if err := p.Check("a loop"); err != nil {
		t.Errorf("a loop that does not run: %v", err)
	}
	p.Mark()
	if err := p.Check("a loop"); err != nil {
		t.Errorf("a loop that has just moved: %v", err)
	}
	p.last.Add(-int64(time.Minute))
	if err := p.Check("a loop"); err == nil || !strings.Contains(err.Error(), "a loop has not moved for 1m0s") {
		t.Errorf("a loop that is stuck: %v", err)
	}
	p.End()
	if err := p.Check("a loop"); err != nil {
		t.Errorf("a loop that has ended: %v", err)
	}
}
