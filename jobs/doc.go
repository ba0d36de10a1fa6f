// Package jobs is what a leader runs: handlers of events, from a log in PostgreSQL or from plain NOTIFY channels, and cron jobs.
// Who leads is not its business: Run is given a term, and fences everything that it writes with it.
//
// # The event log
//
// A producer inserts rows into pgsolo.event, in its own transaction. Nobody locks or updates them: there is one consumer, the
// leader, and each handler has one row, its cursor, with the set of ids that it is done with.
//
//	event ──▶ read in order of ids ──▶ queue ──▶ workers ──▶ results ──▶ cursor: done += ids
//	             ▲       │                                     │
//	          doorbell   └▶ holes: ids not visible yet         └▶ delivery: failed, to be retried, or dead
//
// Ids become visible out of order, since transactions commit out of order. An id that is missing below the highest one seen is
// a hole, and is looked at again until every transaction that could fill it has ended: each of those has a lower number than
// one that is given out after the read which showed the hole, because an id is given out only to a transaction that has its number.
// Events above a hole do not wait for it.
//
// A producer rings (NOTIFY) only while the leader wants it: under load the leader reads every few milliseconds anyway, and rings
// would cost the producers dearly. What a lost ring could delay, a poll finds within a second.
//
// An event that failed, that is not due yet, or that waits behind one of its key which failed, has a row of its own in
// pgsolo.delivery, with a copy of it. So the log may forget what every handler is done with, once its topic's retention is over.
//
// # Cron jobs
//
// One goroutine follows all schedules of a leader, on this process's clock, and writes for all jobs together. A tick has a row in
// pgsolo.cron_run before its function is called, and goes through these outcomes:
//
//	comes due ─┬─▶ skipped, missed
//	           ├─▶ queued ─┐
//	           └───────────┴─▶ running ─┬─▶ ok, failed, replaced, interrupted
//	                              ▲     │
//	                              └── retrying
//
// The row's key is (job, scheduled_at): whichever leader comes first decides, and over any number of them each tick is decided on
// once. What a leader has left queued, running or retrying, the next one goes on with. What was missed is found from the latest
// row, not from when a process started.
//
// # What it guarantees
//
//   - Every committed event is handled, successfully or up to the last attempt, by every handler of its topic, at least once.
//     A new handler begins where its Start says.
//   - What a HandleTx writes in its transaction happens exactly once.
//   - With OrderKey the events of a key are handled one at a time and in order, over failures and failovers.
//   - After the end of a leader, the next one delivers at once what was not written down as done: what was in flight, and what
//     had finished since the last write began. While nothing else waits, a write begins as soon as an event has finished; under
//     load, a few milliseconds after the one before.
//   - A leader of an older term writes nothing once a newer one has claimed the cursor or, for cron jobs, the row of the group: the
//     term is checked in the same transaction, under that row's lock.
//   - A slow or failing handler delays no other one, and a failing event no other event of its handler. The handlers of one topic
//     share what they read while they keep pace, and part when they do not.
//   - A tick of a cron job is started at most once, over any number of leaders and steps of their clocks, unless OnInterrupt or Retry
//     ask for another attempt: its row is there before it starts. The row has the count of attempts.
//   - Two runs of a job overlap only with OverlapAllow, or where one is forced. A run whose leader has died is over with its term.
//   - A tick that comes due while a leader looks after the job is started, or has a row that says why it was not. After an outage, while
//     a leader hands over, and while the database does not answer, Missed decides; ticks during a pause leave no row.
//   - A job that is seen for the first time, or again, or with another schedule, makes up for nothing.
//
// # What it does not guarantee
//
//   - Exactly once for a Handle, and for what a HandleTx does outside its transaction: it sees an event again when its leader dies
//     before the outcome is written. Use IdempotencyKey.
//   - Order without OrderKey. Events of one topic are begun in the order of their ids, as far as they are visible, but with a
//     Concurrency above 1 they overlap, and a retry comes after later events.
//   - An order between events of one key whose transactions overlapped: neither came first.
//   - That a tick which a crash cut off is run again, unless OnInterrupt says so: it is recorded as interrupted, even where its
//     function had just returned.
//   - That a tick is not started again after its row has left the history, if the next leader's clock is more than ten minutes behind.
//   - Anything for a plain NOTIFY channel beyond at most once.
//   - That a handler which is added later still finds what the retention of its topic has removed.
package jobs
