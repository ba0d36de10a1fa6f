package cron

import (
	"hash/fnv"
	"time"

	"github.com/pgsolo/pgsolo/jobs"
)

// Job names a function and the times at which it runs.
type Job struct {
	Name string // unique among cron jobs of a schema: its ticks are kept under this name

	// Revision tells one definition of the job from another: a leader logs that it differs from the leader's before.
	// Default none.
	Revision string

	// Schedules are expressions as schedule.Parse reads them; at least one. Times that several of them name are one
	// tick.
	Schedules []string
	Location  *time.Location // of the schedules' fields; default UTC

	// Jitter delays every start by one part of it, up to the whole, that follows from Name: jobs with the same schedule
	// start spread over it, each of them always at the same distance. A tick keeps the time that the schedule names.
	// Default none.
	Jitter time.Duration

	// Disabled keeps the job from starting by its schedule, and ends what waits for its turn or a retry. It can be
	// triggered. When it is enabled again, nothing is made up for.
	Disabled bool

	Run TickFunc

	// Timeout is that of one attempt, whose context then ends; default 1 h. What returns nil all the same has
	// succeeded.
	Timeout time.Duration

	Missed Missed // default MissedOnce

	// StartingDeadline is how late a tick may still be started; default 1 h. Retries and manual runs have none.
	StartingDeadline time.Duration

	MaxCatchUp int // how many missed ticks MissedAll starts at most, the latest ones; default 1000

	Overlap     Overlap     // default OverlapSkip
	OnInterrupt OnInterrupt // default InterruptAbandon

	// Retry is for attempts that failed, as for events, except that Attempts is 1 by default: none is retried. Discard
	// and RetryAfter hold here too.
	Retry   jobs.Retry
	History History
}

// OnInterrupt says what happens to a run that was cut off, because its leader died or had to stop.
type OnInterrupt string

// The policies for interrupted runs.
const (
	// InterruptAbandon: it is not started again. Each tick is started at most once, if Retry says nothing else.
	InterruptAbandon OnInterrupt = "abandon"

	// InterruptRetry: the next leader starts it again at once, as the next attempt, at most ten attempts in all, or
	// Retry.Attempts if that is more: a run that kills its process ends at some point.
	InterruptRetry OnInterrupt = "retry"
)

// How many attempts a run gets at most that is cut off again and again: it may be what kills its leaders.
const maxInterrupted = 10

// retriesInterrupted says whether a run that was cut off in this attempt gets another one.
func (c Job) retriesInterrupted(attempt int) bool {
	return c.OnInterrupt == InterruptRetry && attempt < max(maxInterrupted, c.Retry.Attempts)
}

// History says which ended runs of a job are kept, those that were all right and those that were not each for
// themselves. The latest tick is always kept: it says what has been missed. A negative value keeps all.
type History struct {
	Runs   int           // how many that succeeded or were replaced, and as many skipped ticks; default 100
	MaxAge time.Duration // and for how long after their scheduled time; default 30 days

	FailedRuns   int           // how many that failed, were interrupted or were missed; default 100
	FailedMaxAge time.Duration // and for how long; default 90 days
}

// Delay is how long after its scheduled time a tick of the job starts: the part of Jitter that falls to Name.
func (c Job) Delay() time.Duration {
	if c.Jitter <= 0 {
		return 0
	}
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(c.Name))
	return time.Duration(hash.Sum64() % uint64(c.Jitter+1))
}
