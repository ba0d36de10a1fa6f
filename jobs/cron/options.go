package cron

import (
	"hash/fnv"
	"time"

	"github.com/pgsolo/pgsolo/jobs"
)

// Job names a function and the times at which it runs.
type Job struct {
	Name string // unique among cron jobs: its ticks are kept under this name

	// Schedules are expressions as ParseSchedule reads them; at least one. Times that several of them name are one tick.
	Schedules []string
	Location  *time.Location // of the schedules' fields; default UTC

	// Jitter delays every start by one part of it, up to the whole, that follows from Name: jobs with the same schedule start
	// spread over it, each of them always at the same distance. A tick keeps the time that the schedule names. Default none.
	Jitter time.Duration

	// Disabled keeps the job from starting by its schedule, and ends what waits for its turn or a retry. It can be triggered. When it is
	// enabled again, nothing is made up for.
	Disabled bool

	Run     TickFunc
	Timeout time.Duration // of one attempt, whose context then ends; default 1 h. What returns nil all the same has succeeded

	Missed           Missed        // default MissedOnce
	StartingDeadline time.Duration // how late a tick may still be started; default 1 h. Retries and manual runs have none
	MaxCatchUp       int           // how many missed ticks MissedAll starts at most, the latest ones; default 1000

	Overlap     Overlap     // default OverlapSkip
	OnInterrupt OnInterrupt // default InterruptAbandon

	// Retry is for attempts that failed, as for events, except that Attempts is 1 by default: none is retried. Discard and RetryAfter
	// hold here too.
	Retry   jobs.Retry
	History History
}

// Missed says which of the ticks that passed while nobody led, or while the job could not be looked after for another reason, are
// made up for, among those within the starting deadline. What it leaves out is not started; if that includes the latest of all, that
// one is recorded as missed.
type Missed string

// The policies for missed ticks.
const (
	MissedSkip Missed = "skip" // none
	MissedOnce Missed = "once" // the latest

	// MissedAll: each, the oldest first, one after the other, at most MaxCatchUp of them. What comes due meanwhile waits, and so it does
	// while a run that was cut off is started again.
	MissedAll Missed = "all"
)

// Overlap says what happens to a tick that comes due while the job still has a run: one that is under way, or one that waits for a
// retry or for its turn. It holds for manual runs too, unless they are forced.
type Overlap string

// The policies for overlaps.
const (
	OverlapSkip    Overlap = "skip"    // it is not started, and recorded as skipped
	OverlapQueue   Overlap = "queue"   // it waits for its turn, at most 1000 of them and no longer than StartingDeadline; manual runs have no limit
	OverlapReplace Overlap = "replace" // the run is cancelled, and the tick starts when its function has returned
	OverlapAllow   Overlap = "allow"   // it starts beside the run
)

// OnInterrupt says what happens to a run that was cut off, because its leader died or had to stop.
type OnInterrupt string

// The policies for interrupted runs.
const (
	InterruptAbandon OnInterrupt = "abandon" // it is not started again: each tick is started at most once, if Retry says nothing else

	// InterruptRetry: the next leader starts it again at once, as the next attempt, at most ten attempts in all, or Retry.Attempts if
	// that is more: a run that kills its process ends some time.
	InterruptRetry OnInterrupt = "retry"
)

// History says which ended runs of a job are kept, those that were all right and those that were not each for themselves. The latest
// tick is always kept: it says what has been missed. A negative value keeps all.
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
