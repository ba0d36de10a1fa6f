package eventlog

import (
	"time"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/counts"
)

// Stats are counters since New, and the state of things, for metrics. A replica counts only what it did as the leader.
type Stats struct {
	Log      LogStats
	Handlers []HandlerStats
	// HeldBack is as of at most ten minutes ago; none on a replica that does not lead, nor for some seconds after one
	// has begun to.
	HeldBack []jobs.HeldBack
}

// LogStats are about the event log as the leader sees it.
type LogStats struct {
	// Appended is the highest id given out so far, as of at most a second ago. Ids of transactions that rolled back
	// count too. 0 on a replica that does not lead, or has no handlers of topics.
	Appended int64

	Ring RingMode

	// BlockedBy is the oldest transaction that has emitted and runs on, once it has kept ids open for 10 s that others
	// did not use: role, application and process. Each write of progress has those ids. Empty: there is none.
	BlockedBy  string
	BlockedFor time.Duration
}

// RingMode says how the leader learns of new events.
type RingMode string

// The modes.
const (
	RingNone  RingMode = ""      // this replica does not lead, or has no handlers of topics
	RingArmed RingMode = "armed" // producers ring
	RingBusy  RingMode = "busy"  // too many rang: the log is read every few milliseconds instead
	RingOff   RingMode = "off"   // there is no bell: the log is polled
)

// HandlerStats are about one handler. Of a channel's, Waiting, Lag, OldestAge, Dead, Retried, Batches and Paused are
// zero.
type HandlerStats struct {
	Name     string
	Handled  int64 // attempts that succeeded
	Failed   int64 // attempts that failed, retries included
	Retried  int64 // attempts that were not the first at their event
	Dead     int64 // events that became dead letters
	Filtered int64 // events that When did not want

	InFlight int64 // attempts under way
	Waiting  int64 // events read, and not begun

	// Lag is how many events the handler has not seen, and what waits and is in flight. What waits in the database for
	// a retry, a date or an earlier event of its key does not count. Where the log has more than 5,000 rows that it has
	// not seen, and among what was given out since the latest count, 5 s ago at most, each id counts, although it may
	// be another topic's, or of a transaction that rolled back.
	Lag int64

	// OldestAge is the time since the creation of the oldest event that the handler is not done with; dead letters, and
	// events with a date that were not attempted yet, do not count. It is read every 5 s, for all handlers at once. 0
	// while there is none.
	OldestAge time.Duration

	// HeldBy is the election that has a handler of this name, and is led: this one waits until that has gone, or has it
	// no more. Empty: none.
	HeldBy string

	Durations jobs.Histogram // of attempts, in seconds
	Batches   jobs.Histogram // of transactions of HandleTx that were committed, in events; empty for others

	Paused bool  // by its breaker
	Pauses int64 // how often its breaker has opened
}

// seen is the highest id given out so far, and up to where each handler has seen.
func (r *Runner) seen() (given int64, to map[string]int64) {
	given, to = r.poll.Given(), map[string]int64{}
	for _, h := range r.handlers {
		if to[h.Name] = h.SeenTo(); h.heldBy.Load() == nil {
			given = max(given, to[h.Name]) // which may have seen more since the latest poll
		}
	}
	return given, to
}

// Stats may be called at any time.
func (r *Runner) Stats() Stats {
	var stats Stats
	given, seen := r.seen()
	stats.Log.Ring = RingMode(r.poll.Mode())
	leads := r.leads.Load()
	for _, h := range r.handlers {
		s := statsOf(h.Name, &h.counters)
		if leads {
			s.Waiting = h.waiting()
			s.Lag = r.oldest.Unseen(h.Name, seen[h.Name], given) + s.Waiting + s.InFlight
			s.OldestAge = r.oldest.Age(h.Name)
			if other := h.heldBy.Load(); other != nil {
				s.HeldBy, s.OldestAge = *other, 0
			}
		}
		stats.Handlers = append(stats.Handlers, s)
	}
	if held := r.heldBack.Load(); held != nil {
		stats.HeldBack = *held
	}
	if leads {
		stats.Log.Appended = given
		stats.Log.BlockedBy, stats.Log.BlockedFor = r.logs.Emitters.Blocking()
	}
	for _, h := range r.channels {
		stats.Handlers = append(stats.Handlers, statsOf(h.Name, &h.counters))
	}
	return stats
}

func statsOf(name string, c *counts.Counts) HandlerStats {
	return HandlerStats{
		Name: name, Handled: c.Handled.Load(), Failed: c.Failed.Load(), Retried: c.Retried.Load(), Dead: c.Dead.Load(),
		Filtered: c.Filtered.Load(), InFlight: c.InFlight.Load(),
		Durations: c.Duration.Seconds(), Batches: c.Batches.Sizes(),
		Paused: c.Gate.Open.Load(), Pauses: c.Gate.Opened.Load(),
	}
}
