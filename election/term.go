package election

import "time"

// Term names one leadership. A later one has the greater number, unless a replica of PostgreSQL was promoted and issued
// the number again: then the timeline is greater.
type Term struct {
	Election string // its name
	Holder   string // Options.Holder of the leader
	Timeline int32  // of the write-ahead log
	Number   int64

	// Session is the application_name that every other session has to bear while the leader works on it. The successor
	// of a leader that did not resign waits for the end of these sessions, and ends them if need be. A process that
	// goes on after lead has returned, as after a StepDown, has to close or rename them before.
	Session string

	// ServerStart is pg_postmaster_start_time() of the server that holds the lock, and names that server: no other one
	// was started in the same microsecond. The name in a URL may lead to another server meanwhile, a replica that was
	// promoted while the old primary lives. What a session there reads and writes is not what this term fences: compare
	// it for each session that the leader works with, also those that were opened before it led.
	ServerStart time.Time

	// Stopping is closed when the leader should hand over: it begins nothing new, finishes what runs, and returns. Its
	// context is cancelled Options.Drain later.
	Stopping <-chan struct{}

	// Over is closed when another leader may be let in at any moment: at once where the session has ended or holds the
	// lock no more, after 0.85 of the lease where no ping is answered. The context ends with it or before. What still
	// runs then has to be killed, whatever grace it was given.
	Over <-chan struct{}

	// Held is false once 0.6 of the lease has passed since the last ping that was answered was sent, and then stays so.
	// It reads clocks, so that its answer is right even before a process that was stopped, and goes on, has had the
	// time to cancel a context: ask it right before an effect that nothing else fences. Where the clocks disagree,
	// because the machine was suspended or its clock set, it waits for the answer to a ping that is sent afterwards, or
	// for the end of the 0.6. So it must not be asked by Options.Healthy, nor under a lock that Options.Healthy takes.
	// Nil is always true. Run sets it.
	Held func() bool
}
