// Package bench measures pgsolo on the machine at hand: real processes and sessions against a real PostgreSQL, which it
// starts unless it is given one.
//
// Each figure that has a floor stands beside it. The floor is what PostgreSQL, or pgx, alone takes for the same thing.
// It is measured in the same run, in turn with pgsolo's own samples, so that what slows the machine slows both. The
// ratio of their medians carries over to another machine; the figures themselves do not.
//
// # Guaranteed
//
//   - What is killed, frozen or told to stop is a process of its own, and so is its successor.
//   - Before each sample of a takeover every other process waits in the lock's queue, and nothing is starting.
//   - The leader of the event log's figures is an eventlog.Runner as the program wires it. It is idle before each turn
//     of producers, and has handled all events before the next.
//   - So is the leader of cron jobs. Each job has started once, has one row and a written outcome before the next
//     burst.
//   - The bench works in a database of its own, with a random name, and drops it.
//   - Its processes end with it, also when it is killed.
//   - The private PostgreSQL flushes its commits to disk, as one in production does.
//
// # Not guaranteed
//
//   - A bench that is killed with kill -9 leaves its database behind on a server that it was given.
//   - Times between two processes are read from the machine's clock. One that is set during a sample spoils it.
//   - The transactions, transaction ids and log of a standby are the server's, less what the bench does itself. On a
//     server that works for others too, or vacuums meanwhile, they are too high.
//   - Who sends notifications, the listener and the bare connection share the bench's process, and the server's
//     processes wake for each other's notifications. That slows both alike.
//   - Producers of events, the leader and the floor share the bench's process. Where the processors are busy, what the
//     leader needs is missing to the producers: on few processors their ratio says more of that than of the triggers.
//   - The leader of cron jobs is in the bench's process. What a leader does less often than it is watched for, such as
//     pruning the history, may be missing in what it costs while nothing starts.
//   - Clients and server share one machine. There is no network between them.
package bench
