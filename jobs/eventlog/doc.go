// Package eventlog runs handlers of events, from a log in PostgreSQL or from plain NOTIFY channels, for one leader at a
// time. Who leads is not its business: Run is given a term, and fences everything that it writes with it.
//
// A producer inserts rows into pgsolo.event, in its own transaction (package emit). No session locks or updates them:
// there is one consumer, the leader, and each handler has one row, its cursor, with the set of ids that it is done
// with.
//
//	event ──▶ read in order of ids ──▶ queue ──▶ workers ──▶ results ──▶ cursor: done += ids
//	             ▲       │                                     │
//	          doorbell   └▶ holes: ids not visible yet         └▶ delivery: failed, to be retried, or dead
//
// # The way of one event
//
// Steps 3 to 8 are those of one handler, and its consumer is what they meet in. Beside each step is the file here.
//
//  1. The producer's transaction inserts the row: it gets its number, then the id, and rings the doorbell if that is
//     armed.
//  2. wake.Doorbell gets the ring, and calls logHandler.Ring for each handler (loghandler.go). Or wake.Poll sees that
//     ids were given out, and calls it for the handlers that have not seen them. That wakes the loop of the consumer.
//  3. consumer.step asks logread.Frontier what to read next (consumer.go), and begins it: startNew or startHoles
//     (read.go). logread.Log reads a page of rows above the highest id seen, which the handlers of a topic share, or
//     rows that have become visible in holes.
//  4. Frontier.Arrived or Frontier.Reread takes the page in (read.go): what was seen, and what is a hole.
//  5. consumer.deliver gives the records to queue.Queue (read.go, order.go). Rows of other topics are done. An event
//     that is not due yet, or waits behind one of its key that failed, gets a row in pgsolo.delivery: step 8 writes it,
//     and a due query (cursor.Due) brings it back to the queue when its time has come.
//  6. A worker takes the delivery from the queue, asks When (worker.isWanted), waits at the gate for the rate and the
//     breaker, and calls the handler (worker.attempt, worker.go). A transactionWorker does that in a transaction, which
//     ends with a step 8 of its own (transaction.go, commit.go).
//  7. The worker returns the outcome to the queue: a success in the same critical section in which it takes the next
//     delivery.
//  8. consumer.takeResults gives what has come in to the writer, and decides on failures (progress.go);
//     consumer.startWrite saves it (cursor.Save): ids that are done, and rows of those that failed, in one statement
//     under the row lock of the cursor.
//
// # Holes
//
// Ids become visible out of order, since transactions commit out of order. An id that is missing below the highest one
// seen is a hole, and is read again until every transaction that could fill it has ended: each of those has a lower
// number than one that is given out after the read which showed the hole, because an id is given out only to a
// transaction that has its number. An old transaction that has nothing to do with the log keeps no hole open: those
// that may fill one are known by their locks (logread.Emitters). Events above a hole do not wait for it, unless the
// handler has an order: then what a hole holds comes first.
//
// # The doorbell
//
// A producer rings (NOTIFY) only while the leader wants it: under load the leader reads every few milliseconds anyway,
// and rings would cost the producers dearly. What a lost ring could delay, a poll finds within a second.
//
// # An event that ends its leader
//
// After two leaders that ended without a word while nothing of a handler moved, what it had under way is tried one by
// one, and counted by the leaders that end meanwhile. See package trial.
//
// # Events that are too large
//
// The trigger refuse_payload refuses an event that takes more than max_payload of its topic: the largest one counts
// that a leader declared within the grace. What is in the log all the same is printed only where that takes a bounded
// part of the memory of the server and of the leader (pgsolo.printed), in pages that have one such event. Where the
// server cannot read a page, its rows are read one by one. An event that is not read is a dead letter that says why,
// without an attempt.
//
// # What is kept for how long
//
// An event that failed, that is not due yet, or that waits behind one of its key which failed, has a row of its own in
// pgsolo.delivery, with a copy of it. So the log may forget what every handler is done with, once its topic's retention
// is over (package retention). Where the log has forgotten an event since it was read, the copy is made from memory:
// nothing is marked as done that has neither been handled nor got its row. So is that of a row which is deleted by hand
// while its attempt is under way, if that fails: to be rid of a retry for good, delete its row between two attempts.
//
// # Whose configuration counts
//
// A leader declares its handlers, topics and retentions, once its cursors are claimed (package declaration). What it
// lacks is marked, in the time for which its group is led (package group), and retired when the mark is older than
// Options.ForgetAfter: then a handler holds back no row of the log and a topic is refused. The retention that counts
// for a topic is the longest that was declared within that time, and nothing is deleted before the declaration: a
// handler that has come back holds back the log from then on. A handover cancels a declaration that waits.
//
// The deliveries of a topic that the handler has left stay as they are until it is back there: nobody who has its name
// meanwhile gets them or waits behind them, and a dead letter that is replayed waits as well. pgsolo.forget_position
// deletes them with the position. The grace does not: after it they hold back no row of the log.
//
// A name belongs to one group of a schema at a time. A claim takes a cursor of its own group, and one that its group
// has marked, or whose group is gone. Otherwise the handler is held: its consumer asks each second, by a read, and the
// rest of the leader goes on. A consumer that is fenced asks whose the cursor is: where another group has taken it, as
// a leader of the version before does at once, it is held, too, and no term ends. See logHandler.holdWhileOwned.
//
// # Positions and counters
//
// A sequence can be set back by others, so that ids which are done are given out to new events. A claim believes no
// position that a counter contradicts, and says in an ERROR line what it found: package cursor has the design.
//
// # What it guarantees
//
//   - Every committed event is handled, successfully or up to the last attempt, by every handler of its topic, at least
//     once. A new handler begins where its Start says. One that goes back to a topic goes on where it was in it, and
//     with what it had taken out of the log of it (retries, events that are not due yet, or wait for their turn).
//   - What a HandleTx writes in its transaction happens exactly once, but where the log is set back under a leader:
//     what it handles until it notices comes again.
//   - With OrderKey the events of a key are handled one at a time and in order, over failures and failovers.
//   - After the end of a leader, the next one delivers at once what was not written down as done: what was in flight,
//     and what had finished since the last write began. While nothing else waits, a write begins as soon as an event
//     has finished; under load, a few milliseconds after the one before.
//   - A leader of an older term writes nothing once a newer one has claimed the cursor: the term is checked in the same
//     transaction, under that row's lock.
//   - A write of progress that is repeated, since its answer was lost, undoes nothing that an operator has done to
//     dead letters and retries meanwhile: it is known by its number.
//   - A slow or failing handler delays no other one, and a failing event no other event of its handler. The handlers of
//     one topic share what they read while they keep pace, and part when they do not.
//   - A handler that panics, runs over its timeout or calls runtime.Goexit fails that attempt, and takes no worker with
//     it.
//   - An event that ends its process each time is a dead letter after its attempts, and keeps no other from its own.
//
// # What it does not guarantee
//
//   - Exactly once for a Handle, and for what a HandleTx does outside its transaction: it sees an event again when its
//     leader dies before the outcome is written. Use IdempotencyKey.
//   - Order without OrderKey. Events of one topic are begun in the order of their ids, as far as they are visible, but
//     with a Concurrency above 1 they overlap, and a retry comes after later events.
//   - An order between events of one key whose transactions overlapped: neither came first.
//   - Anything for a plain NOTIFY channel beyond at most once.
//   - That a handler which is added later still finds what the retention of its topic has removed.
package eventlog
