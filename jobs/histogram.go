package jobs

// Histogram is how often values up to each of some bounds came, for metrics.
type Histogram struct {
	Count   uint64
	Sum     float64
	Buckets map[float64]uint64 // by upper bound, which belongs to it: all values up to there
}
