// Package sql runs an SQL statement for an event or a tick, in the database that has the event log, or in any other for
// which there is a pool.
//
// # What the statement gets
//
// The text of Statement.SQL is the same for every event and tick; what differs comes in its parameters $1, $2, …, so
// that no producer of an event can add SQL. Statement.Args are sent as text without a type, and the server decides on
// the types, as it does for literals in quotes: a string becomes a timestamptz, a uuid, an int, whatever its place asks
// for. Where the place asks for nothing, in concat($1) for example, a cast says it: $1::text.
//
//   - nil and nil pointers are null.
//   - Strings, booleans, integers and floats are their text; so is what is an encoding.TextMarshaler, such as a
//     time.Time.
//   - A []byte is a bytea.
//   - Everything else is JSON: maps, structs, slices, json.RawMessage. A list is not an array of PostgreSQL; in SQL,
//     jsonb_array_elements_text($1) makes rows of it.
//
// SQL is one statement, as PostgreSQL's extended protocol has it. What takes several is a function, a do block, a with
// query or, for Run, a procedure. Rows that it returns are read and dropped.
//
// # What is guaranteed
//
//   - With RunTx, in the transaction of an eventlog.HandleTxFunc, the statement happens exactly once for each event: it
//     is committed together with the mark that the event is done, or not at all.
//   - With Run, the statement is a transaction of its own, or runs outside of one, as VACUUM does. No error means that
//     it was committed. An error of the server means that it was not, but for what a procedure has committed on its
//     way.
//   - Run and RunTx return after the server has ended the statement. When the context ends they have the server cancel
//     it, and ask again until it has. So a run whose time is up does not overlap with the next one. An error that says
//     "cancelled" means that nothing was done. Neither has a timeout of its own.
//   - The report of a tick gets the command tag, such as DELETE 17, and before it the server's notices if the pool
//     keeps them: see KeepNotices.
//   - With Run, an attempt that waits for a session until its time is up, while others have all of them, counts for
//     nothing (jobs.Starved); one whose session could not be opened counts. Of a pool that WatchPool has made that is
//     certain.
//   - An error of the server has its code, its message and the place in the statement, and wraps the *pgconn.PgError.
//     Arguments and the connection's password are not in it, nor is the server's DETAIL, which quotes rows.
//   - Validate finds without a server: no statement or two, a number of arguments that does not fit, begin and commit,
//     copy from stdin.
//
// # What is not guaranteed
//
//   - Exactly once with Run: where the connection breaks after the statement was sent, or this process dies, it is not
//     known whether it was committed. A tick is then recorded as failed or interrupted. Make the statement such that it
//     may be repeated, or have it write down the idempotency key.
//   - That messages of the server are free of values: some quote one, as in: invalid input syntax for type integer:
//     "x". So does what functions raise.
//   - The end of a statement that the server does not cancel: one in foreign code, one that catches the cancellation,
//     one on a server that cannot be reached. After two seconds Run returns with an error that says that it may still
//     run, and closes the connection. With client_connection_check_interval the server notices that, if it looks.
//   - A clean session with Run: what a statement sets or locks in its session stays there for the next one, unless the
//     pool cleans it in AfterRelease. With RunTx what one leaves reaches no other handler, and may stay for the next
//     event of its own: set things with "set local", and lock with pg_advisory_xact_lock.
//   - Procedures that commit, and what cannot run in a transaction, with RunTx: the server refuses them.
package sql
