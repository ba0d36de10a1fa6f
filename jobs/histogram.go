package jobs

// Histogram counts values up to each of some bounds, for metrics.
type Histogram struct {
	Count   uint64
	Sum     float64
	Buckets map[float64]uint64 // by upper bound: how many values were that or less
}
