package jobs

import "time"

// CronStats are the counters of one cron job since New, for metrics. A replica counts only what it did as the leader.
type CronStats struct {
	Name        string
	Started     int64 // ticks whose function was called
	Succeeded   int64
	Failed      int64 // returned an error, panicked, or took too long
	Skipped     int64 // came due during another run
	Interrupted int64 // cut off because the leader had to stop, or found unfinished after an earlier leader

	LastSuccess time.Time // when the latest run that succeeded ended; zero if none has
	Next        time.Time // the tick that is waited for; zero before the first term
	Running     bool
}

func (s *CronStats) conclude(outcome string, at time.Time) {
	s.Running = false
	switch outcome {
	case outcomeOK:
		s.Succeeded++
		s.LastSuccess = at
	case outcomeFailed:
		s.Failed++
	case outcomeInterrupted:
		s.Interrupted++
	}
}

// count changes the counters.
func (j *cronJob) count(change func(*CronStats)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	change(&j.counts)
}

// stats returns the counters. It may be called at any time.
func (j *cronJob) stats() CronStats {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.counts
}
