package clock

import (
	"testing"
	"testing/synctest"
	"time"
)

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// scanAt is a scan that finds everything.
func (c *Clock) scanAt(now time.Time) (back time.Duration) {
	back = c.Follow(now)
	c.Scanned(now, time.Now())
	return back
}

func clockAt(now time.Time) *Clock {
	c := New(nil)
	c.Claimed(now)
	return c
}

// wantBefore checks which minutes after noon have passed before the clock was set back.
func wantBefore(t *testing.T, c *Clock, upTo int, want ...int) {
	t.Helper()
	before := map[int]bool{}
	for _, m := range want {
		before[m] = true
	}
	for m := range upTo {
		if got := c.CameBefore(noon.Add(time.Duration(m) * time.Minute)); got != before[m] {
			t.Errorf("minute %d came before a step back: %t, want %t", m, got, before[m])
		}
	}
}

func TestPeriodsGoForward(t *testing.T) {
	c := clockAt(noon)
	for m := time.Duration(0); m <= 5; m++ {
		if back := c.scanAt(noon.Add(m * time.Minute)); back != 0 {
			t.Errorf("set back by %s at minute %d", back, m)
		}
	}
	wantBefore(t, c, 10)
}

// What has passed before a step back comes again, and what comes after it does not.
func TestPeriodsAfterAStepBack(t *testing.T) {
	c := clockAt(noon)
	c.scanAt(noon.Add(5 * time.Minute))
	if back := c.scanAt(noon.Add(2 * time.Minute)); back != 3*time.Minute {
		t.Errorf("set back by %s, want 3m", back)
	}
	wantBefore(t, c, 10, 1, 2, 3, 4, 5) // the claim has decided on noon itself
	c.scanAt(noon.Add(8 * time.Minute))
	wantBefore(t, c, 10, 1, 2, 3, 4, 5)
	if back := c.scanAt(noon.Add(7 * time.Minute)); back != time.Minute {
		t.Errorf("set back by %s, want 1m", back)
	}
	wantBefore(t, c, 10, 1, 2, 3, 4, 5, 6, 7, 8)
}

// A long step forth is no time that has passed: when it is undone, what it left out is still to come.
func TestPeriodsAfterALongStepForth(t *testing.T) {
	c := clockAt(noon)
	c.scanAt(noon.Add(1 * time.Minute))
	c.scanAt(noon.Add(2*time.Minute + LongStep))
	c.scanAt(noon.Add(3*time.Minute + LongStep))
	c.scanAt(noon.Add(2 * time.Minute))
	wantBefore(t, c, 15, 1, 13)
}

// A page that does not hold all that is due ends no period.
func TestPeriodsFollowFinishedScans(t *testing.T) {
	c := clockAt(noon)
	c.scanAt(noon.Add(1 * time.Minute))
	c.Follow(noon.Add(5 * time.Minute)) // and not all was found
	if back := c.scanAt(noon.Add(3 * time.Minute)); back != 0 {
		t.Errorf("set back by %s, want not beyond the scan that came to its end", back)
	}
	if back := c.scanAt(noon); back != 3*time.Minute {
		t.Errorf("set back by %s, want 3m", back)
	}
	wantBefore(t, c, 10, 1, 2, 3)
	c.scanAt(noon.Add(2 * time.Minute))
	if back := c.Follow(noon.Add(1 * time.Minute)); back != time.Minute { // and not all was found
		t.Errorf("set back by %s, want 1m", back)
	}
	if back := c.Follow(noon.Add(1 * time.Minute)); back != 0 {
		t.Errorf("set back by %s once more", back)
	}
}

func TestPeriodsAreForgotten(t *testing.T) {
	c := clockAt(noon)
	for range 2 * keptPeriods {
		c.scanAt(noon.Add(5 * time.Minute))
		c.scanAt(noon)
	}
	if len(c.periods) != keptPeriods {
		t.Errorf("%d periods are kept, want %d", len(c.periods), keptPeriods)
	}
	wantBefore(t, c, 10, 1, 2, 3, 4, 5)
}

// A tick that was found late because nothing was scanned meanwhile is on time.
func TestLateness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clockAt(noon)
		c.scanAt(noon.Add(time.Minute))
		<-time.After(7 * time.Second)
		if late := c.Lateness(time.Now()); late != MissedAfter+7*time.Second {
			t.Errorf("a tick may be %s late, want %s", late, MissedAfter+7*time.Second)
		}
		c.scanAt(noon.Add(2 * time.Minute))
		if late := c.Lateness(time.Now()); late != MissedAfter {
			t.Errorf("a tick may be %s late right after a scan, want %s", late, MissedAfter)
		}
	})
}
