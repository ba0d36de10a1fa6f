// Package jobs is the vocabulary of what a leader runs, and the way to run it. Two engines stand on it: package
// eventlog brings the events of a log in PostgreSQL to handlers, and package cron starts jobs by their schedules. Who
// leads is not their business: Run is given a leadership, and the engines fence everything that they write with its
// number.
//
//	        jobs.Run
//	       ╱        ╲
//	 eventlog        cron        emit: for producers     admin: for operators
//	exec, webhook, sql: actions of handlers and jobs     schedule: expressions
//
// The packages of actions, and those of producers and operators, know jobs alone. Migrate makes the tables of all of
// them, in one schema.
//
// # What it guarantees
//
//   - Run returns only when nothing runs any more that it started, whatever the reason. The error of one engine ends
//     the others.
//   - An engine of an older leadership writes nothing once a newer one has claimed its rows: the number is checked in
//     the transaction that writes, under a lock of the row that the newer one changes first. See ErrFenced.
//   - Migrate is all or nothing, and may be called by several processes at once. It waits for each lock for 0.4 s at
//     most, and tries again for a minute; what it has locked stays locked until it commits, typically well under
//     a second. Replicas of the version before go on while the tables are those of the newer one. It sets right what
//     every role may do, as after a restore without privileges, and what has another name of a schema that was renamed.
//   - What a role or a database sets (a search_path with somebody else's functions, time-outs, read-only transactions)
//     changes nothing, if the sessions of the pool have SessionSettings.
//   - Rows that row security hides are never taken for rows that are not there, if the sessions of the pool have
//     row_security = off, which is one of these: the server refuses the statement then, the engine says so and tries it
//     again without an end, and what needs it not goes on.
//   - The encoding of the database may be any but SQL_ASCII, which CheckLog refuses, and MULE_INTERNAL.
//
// What each engine guarantees, and what it does not, is said in its own package.
//
// # What ends a leadership
//
// Silence is only what got no answer. What the server answers to a step of an engine is said in the log with its own
// words and, where there is one, a remedy: once, and hourly. The rest of the leader goes on meanwhile, as far as it
// needs that step not: other handlers, jobs that run, reads beside a write.
//
//	answer (SQLSTATE)                              becomes of it
//	none for 30 s, from any session                end of the term: nothing can be read or written, another leader may
//	a step over its time, the server answers       retried without an end, with 10 s, not 5: it waits for a lock,
//	                                               a session of the pool, a replica that is synchronous, a disk
//	a newer leader has claimed the rows            end of the term: ErrFenced
//	42…, 3F… of pgsolo's own statement: a table,   end of the term: ErrSchema or the server's words. The standbys
//	column or function is missing or another one   check the schema before they lead, and say what is wrong
//	42…, 3F… within a function or trigger          retried: it is somebody else's, and a person can mend it
//	42501 privilege                                retried, with the very grant. What a leader can do without (topics,
//	                                               declaration, trials, the sequence, the bell) is skipped, and said
//	42501 by row security                          retried, with the remedy
//	22…, 54… for the sake of a text: not in the    the write is repeated with plainer texts: characters replaced that
//	encoding, too long for an index or a domain    the database cannot hold, then a short one, then none
//	22…, 54… for the sake of an event; XX001; or   a dead letter that says so; its neighbours are handled
//	53200, where that event is a large one
//	23… constraint, P0… trigger or event trigger   retried: somebody has added it, and can take it away
//	25… read-only, 25P0… time-outs of the role     retried: a setting of the role or database, or election ends it
//	28… role or password, 3D… database             retried: the sessions that there are go on meanwhile
//	40… deadlock, serialization                    retried
//	53… disk full, memory, connections             retried: it passes
//	55… lock not available, object in use          retried, as a step over its time
//	08…, 57… shutdown, cancelled, terminated       retried on another session; election knows if the server has gone
//	58…, XX… and all others                        retried: no other leader would get another answer
//	the sequence of the log went back              end of the term: the next one compares, see package eventlog
//
// An error of a handler's own statement is a failed attempt, and ends nothing but that.
//
// # What it does not guarantee
//
//   - That only one leads: that is up to the caller of Run, as package election does.
//   - Anything about an action that ignores the end of its context. Run waits for it.
package jobs
