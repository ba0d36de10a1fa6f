package group

import (
	"testing"
	"time"
)

// Counts are a part of the grace apart, and cost nothing where there is none.
func TestTimeBetweenCounts(t *testing.T) {
	for grace, want := range map[time.Duration]time.Duration{
		0: time.Minute, time.Second: 100 * time.Millisecond, time.Minute: 3 * time.Second, 24 * time.Hour: time.Minute,
	} {
		if got := countEvery(grace); got != want {
			t.Errorf("a grace of %s is counted each %s, want %s", grace, got, want)
		}
	}
}
