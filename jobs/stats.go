package jobs

// Stats are counters since New, for metrics.
type Stats struct {
	Handlers []HandlerStats
	Crons    []CronStats
}

// HandlerStats are the counters of one handler.
type HandlerStats struct {
	Name     string
	Handled  int64 // attempts that succeeded
	Failed   int64 // attempts that failed, retries included
	Dead     int64 // events whose last attempt failed
	InFlight int64 // attempts under way
}

// Stats may be called at any time.
func (r *Runner) Stats() Stats {
	var stats Stats
	for _, c := range r.consumers {
		stats.Handlers = append(stats.Handlers, c.counters.stats(c.Name))
	}
	for _, h := range r.channels {
		stats.Handlers = append(stats.Handlers, h.counters.stats(h.Name))
	}
	for _, job := range r.crons {
		stats.Crons = append(stats.Crons, job.stats())
	}
	return stats
}

func (c *handlerCounters) stats(name string) HandlerStats {
	return HandlerStats{
		Name: name, Handled: c.handled.Load(), Failed: c.failed.Load(), Dead: c.dead.Load(), InFlight: c.inFlight.Load(),
	}
}
