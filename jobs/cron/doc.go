// Package cron runs jobs on a schedule, for one leader at a time. Who leads is not its business: Scheduler.Run is given
// a term, and fences everything that it writes with it.
//
// One goroutine follows all schedules of a leader, on this process's clock, and writes for all jobs together. A tick
// has a row in pgsolo.cron_run before its function is called, and goes through these outcomes:
//
//	due ─┬─▶ skipped, missed
//	     ├─▶ queued ─┐
//	     └───────────┴─▶ running ─┬─▶ ok, failed, replaced, interrupted
//	                        ▲     │
//	                        └── retrying
//
// What is queued or retrying may still be skipped or replaced: for a later run, by its deadline, or because the job is
// not enabled any more.
//
// The row's key is (job, scheduled_at): whichever leader comes first decides, and over any number of them each tick is
// decided on once. What a leader has left queued, running or retrying, the next one goes on with. What was missed is
// found from the latest row, not from when a process started.
//
// # The position of a job
//
// The history is the operators': they may delete from it what they like, all of it, and while a leader leads. So the
// latest tick that was decided on stands in pgsolo.cron_position as well, one row per job, which no function for
// operators locks. The transaction that makes the rows of ticks adds one row for all of them to pgsolo.cron_decision,
// which the pruner folds into the positions.
//
// A claim believes the later one of history and position: a leader of the version before advances only the history, and
// a part that was restored from an older dump is behind the other one. What a position lacks at a claim, the claim
// writes. Where both are from an older dump, the ticks since then are missed ticks, as after an outage: Missed makes up
// for them within the starting deadline, although they may have run.
//
// A clock that was ahead leaves positions after now. While the history has the row of such a tick, its rows say what is
// decided, and the position says nothing. If that row was purged, nothing up to now is made up for, and up to ten
// minutes from now nothing is started again. A position further ahead goes back with the job's next tick.
//
// # The clock
//
// The leader's clock rules: a tick starts when that shows its time, whatever the database's does. What has passed by it
// alone, where it is ahead, is still to come: it is not made up for, and gets no row. See compareClock.
//
// # The way of a tick
//
// A term claims its jobs once, and takes over what earlier leaders have left. Then its loop repeats the rest, which a
// tick passes from top to bottom, and from file to file. All SQL is in package rows.
//
//	claim.go                 what the rows say of each job, and its open runs
//	term.go     loop         waits for a job that is due, for the end of an attempt, or for a notification
//	ahead.go    compareClock is the clock ahead of the database's?
//	commands.go readCommands what was paused, resumed and triggered; internal/inbox says when to ask
//	scan.go     scan         takes the jobs that are due off the heap; the clock has what came before a step back
//	missed.go   decide       which of the ticks since the last scan are started, and which were missed
//	due.go      due          one tick beside the other runs of its job:
//	overlap.go  decide       it starts, waits, replaces the others, or is skipped
//	begin.go    begin        writes what the outbox holds, in pages: rows to be made, rows to be started
//	run.go      call         calls the function, in a goroutine of its own
//	run.go      conclude     decides what its end means
//	settle.go   settle       writes outcomes; those whose row is locked are deferred
//	history.go  pruner       beside the loop: removes rows that are no longer kept
//
// # Whose configuration counts
//
// A job that a leader lacks is forgotten: it does not run, and no operator can trigger it. Until its group was led for
// Options.ForgetAfter without it, a leader that has it again goes on as if it had been there, with what was missed and
// what was left open. A name belongs to one group of a schema at a time: a job of another group is held, until that has
// forgotten it or is gone (see package group). Where another group takes a job all the same, it is given up, and the
// rest goes on. A row that was deleted by hand is written again, and its job goes on meanwhile.
//
// # What it guarantees
//
//   - A tick of a cron job is started at most once, over any number of leaders and steps of their clocks, unless
//     OnInterrupt or Retry ask for another attempt: its row is there before it starts. The row has the count of
//     attempts.
//   - Two runs of a job overlap only with OverlapAllow, or where one is forced. A run whose leader has died is over
//     with its term. Beside others MaxForced manual runs of a job start at most, MaxForcedInAll of all jobs.
//   - A tick that comes due while a leader serves the job is started, or has a row that says why it was not. After an
//     outage, while a leader hands over, and while the database does not answer, Missed decides; ticks during a pause
//     leave no row.
//   - A job that is seen for the first time, or again, or with another schedule, makes up for nothing.
//   - A leader of an older term writes nothing once a newer one has claimed the row of the group: the term is checked
//     in the same transaction, under that row's lock.
//   - A slow or failing job delays no other one, and neither does a lock that another session has on the row of a run.
//
// # What it does not guarantee
//
//   - That a tick which a crash cut off is run again, unless OnInterrupt says so: it is recorded as interrupted, even
//     where its function had just returned.
//   - Exactly once, where OnInterrupt or Retry ask for another attempt: it may do again what the one before has done.
//     Use IdempotencyKey.
//   - That a tick is not started again after its row has left the history, if the next leader's clock is more than ten
//     minutes behind.
package cron
