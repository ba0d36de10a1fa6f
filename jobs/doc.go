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
//     a second. Replicas of the version before go on while the tables are those of the newer one.
//   - What a role or a database sets (a search_path with somebody else's functions, time-outs, read-only transactions)
//     changes nothing, if the sessions of the pool have SessionSettings.
//   - Rows that row security hides are never taken for rows that are not there, if the sessions of the pool have
//     row_security = off, which is one of these: the server refuses the statement then, the engine says so and tries it
//     again without an end, and what needs it not goes on.
//   - The encoding of the database may be any but SQL_ASCII, which CheckLog refuses.
//
// What each engine guarantees, and what it does not, is said in its own package.
//
// # What it does not guarantee
//
//   - That only one leads: that is up to the caller of Run, as package election does.
//   - Anything about an action that ignores the end of its context. Run waits for it.
package jobs
