package measure

import (
	"testing"
	"time"
)

func TestHistogram(t *testing.T) {
	var h Histogram
	for _, d := range []time.Duration{
		0, 100 * time.Microsecond, 100*time.Microsecond + 1, 30 * time.Second, time.Hour,
	} {
		h.Add(int64(d), &DurationBounds)
	}
	got := h.Seconds()
	if got.Count != 5 || got.Sum < 3630 || got.Sum > 3631 || len(got.Buckets) != len(DurationBounds) ||
		got.Buckets[0.0001] != 2 || got.Buckets[0.001] != 3 || got.Buckets[10] != 3 || got.Buckets[60] != 4 {
		t.Errorf("got %+v", got)
	}
}
