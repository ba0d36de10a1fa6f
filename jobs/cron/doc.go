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
// The row's key is (job, scheduled_at): whichever leader comes first decides, and over any number of them each tick is
// decided on once. What a leader has left queued, running or retrying, the next one goes on with. What was missed is
// found from the latest row, not from when a process started.
//
// # The way of a tick
//
// A term claims its jobs once, and takes over what earlier leaders have left. Then its loop repeats these steps, top to
// bottom, and in the package from file to file:
//
//	claim.go                 what the rows say of each job, and its open runs
//	term.go     loop         waits for a job that is due, for the end of an attempt, or for a notification
//	commands.go readCommands what was paused, resumed and triggered; the inbox knows when to ask
//	scan.go     scan         takes the jobs that are due off the heap; the clock knows what came before a step back
//	missed.go   decide       which of the ticks since the last scan are started, and which were missed
//	due.go      due          one tick beside the other runs of its job:
//	overlap.go  decide       it starts, waits, replaces the others, or is skipped
//	begin.go    begin        writes what the outbox holds, in pages: rows to be made, rows to be started
//	run.go      call         calls the function, in a goroutine of its own
//	run.go      conclude     decides what its end means
//	settle.go   settle       writes outcomes; those whose row is locked are deferred
//	history.go  pruner       removes rows that are no longer kept
//
// # Whose configuration counts
//
// A job that a leader lacks is forgotten: it does not run, and no operator can trigger it. Until its group was led for
// Options.ForgetAfter without it, a leader that has it again goes on as if it had been there, with what was missed and
// what was left open. A name belongs to one group of a schema at a time: a job of another group is held, until that has
// forgotten it or is gone (see package group). Where another group takes a job all the same, it is given up, and the
// rest goes on.
//
// # What it guarantees
//
//   - A tick of a cron job is started at most once, over any number of leaders and steps of their clocks, unless
//     OnInterrupt or Retry ask for another attempt: its row is there before it starts. The row has the count of
//     attempts.
//   - Two runs of a job overlap only with OverlapAllow, or where one is forced. A run whose leader has died is over
//     with its term.
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
