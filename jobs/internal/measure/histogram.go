// Package measure counts durations and sizes for the statistics of the engines.
package measure

import (
	"sync/atomic"
	"time"

	"github.com/pgsolo/pgsolo/jobs"
)

// Upper bounds of the buckets, in ascending order.
var (
	// DurationBounds are those of durations, in nanoseconds.
	DurationBounds = [...]int64{
		int64(100 * time.Microsecond), int64(time.Millisecond), int64(5 * time.Millisecond),
		int64(25 * time.Millisecond), int64(100 * time.Millisecond), int64(500 * time.Millisecond),
		int64(2 * time.Second), int64(10 * time.Second), int64(time.Minute),
	}

	// BatchBounds are those of numbers of events.
	BatchBounds = [...]int64{1, 2, 5, 10, 20, 50, 100, 200, 500}
)

// Histogram counts values in buckets. One Histogram is always used with the same bounds. The zero value is empty. It
// may be used by any goroutine.
type Histogram struct {
	sum    atomic.Int64
	counts [10]atomic.Int64 // the last one counts the values above all bounds
}

// Add counts a value, which is in the unit of the bounds. A value that equals a bound counts as below it.
func (h *Histogram) Add(value int64, bounds *[9]int64) {
	i := 0
	for i < len(bounds) && value > bounds[i] {
		i++
	}
	h.counts[i].Add(1)
	h.sum.Add(value)
}

// Seconds returns a histogram of durations, in seconds.
func (h *Histogram) Seconds() jobs.Histogram { return h.read(&DurationBounds, float64(time.Second)) }

// Sizes returns a histogram of numbers of events.
func (h *Histogram) Sizes() jobs.Histogram { return h.read(&BatchBounds, 1) }

// read returns the histogram in another unit, which is unit times as large as that of the values.
func (h *Histogram) read(bounds *[9]int64, unit float64) jobs.Histogram {
	out := jobs.Histogram{Sum: float64(h.sum.Load()) / unit, Buckets: map[float64]uint64{}}
	for i := range h.counts {
		out.Count += uint64(h.counts[i].Load())
		if i < len(bounds) {
			out.Buckets[float64(bounds[i])/unit] = out.Count
		}
	}
	return out
}
