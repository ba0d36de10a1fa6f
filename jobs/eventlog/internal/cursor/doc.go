// Package cursor is the SQL of one handler of the event log: its row in pgsolo.cursor, which says what is done, and its
// rows in pgsolo.delivery, which are for events that failed, that are not due yet, or that wait behind one of their
// key.
//
// # Positions and counters
//
// A sequence can be set back by others: TRUNCATE … RESTART IDENTITY, setval, a restore of some tables, a copy by
// logical replication, which brings none. Then ids that are done are given out to new events. So a claim believes no
// position that a counter contradicts. It compares, in the statement that claims:
//
//   - the highest id of the log with the sequence, and the highest that any cursor has in done with it;
//   - the storage of the sequence with the one that was there before (pgsolo.log.counter), since a sequence that was
//     made anew may have passed meanwhile all that was done;
//   - the newest event that is done with the latest write of progress: one whose transaction began after that, with a
//     number that was not given out then, cannot have been handled;
//   - the newest event up to checked_id, likewise.
//
// The position of a topic that a handler has left, or comes back to, has its epoch with it, and counts as a cursor's.
//
// A contradiction begins a new epoch (a row of pgsolo.log). Rows above the sequence: it is behind its log, and is
// raised above the rows and all that is done. Otherwise the log began again, and gets a new identity. Each cursor of an
// earlier epoch, whenever it is claimed, keeps in done what a row of the log shows to be old. Other ids up to what the
// sequence had given out may be those of transactions that still run, and count as holes: where nothing is in them they
// are done again at once. Above it, nothing stays if the log began again, and everything if its sequence was raised.
// Deliveries of events that leave done this way are renamed to negative ids: new events may get theirs. An ERROR line
// says what was found, and how many events come again.
//
// A leader whose poll finds that the sequence has gone back writes down until when it had not, and ends. So does one
// whose handler was claimed before another one found it.
//
// Transactions that have not ended at the claim may have taken all ids that are done once more. So the poll of the log
// (package wake) goes on to look for events that are newer than what the cursors had noted, and writes down in
// pgsolo.log up to which id, and until when, there were none (checked_id). The next claim looks from there, too: the
// leader before may have done, and noted, more than its poll had looked at when it died.
//
// What is not found: ids that are given out for the second time within a second or two of the first; and, in a log that
// began again, events whose dates are before the latest write of progress, because a producer has dated them so, or
// because their transaction began before it and emitted after the sequence had gone back.
//
// For the latter there is no rule that is sound. A row tells two things: its date, which is when the event's
// transaction began, and the number of the transaction that wrote it. A transaction gets its number with its first
// write. If that came after the latest write of progress, the row has an old date and a new number, and so has the row
// of an event that was handled, and restored from a dump since: to believe neither would handle all that is restored
// once more, also where a handler promises exactly once. If it came before, the number is one that the snapshot of that
// write had in progress. To know these the list of them would have to be noted, in each write of progress: xmin alone,
// in place of xmax, adds nothing, since a date after the write implies a number above both. And it would not tell such
// a row from one that was restored, or changed by hand, in a transaction which was under way at that write. So what is
// restored is not done twice, and what such a transaction emits may be lost: let those of the producers end before the
// log is set back. A mark in each row, of the log that it was emitted to, would tell the two apart, but costs each
// insert, and setval changes nothing that it could be taken from.
//
// # Identity
//
// An id alone does not tell an event to a receiver that sees two databases, or one before and after a restore. So each
// log has an identity, which is part of idempotency keys, and gets another one with an epoch in which it may be another
// log: where it began again, where it is in another database or on another server (copied), and where the server is on
// another timeline (promoted), since what a replica lacked is emitted anew. After a copy or a promotion the events up
// to checked_id are known to be the same, and keep their keys. Deliveries keep theirs in any case, in their column
// origin. A promotion changes nothing of what is done, and costs a claim two short transactions.
//
// A sequence that gives sessions ids in advance (CACHE) is refused, by a claim and by the poll: an id that is given out
// late would be overlooked.
package cursor
