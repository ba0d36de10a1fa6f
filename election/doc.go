// Package election decides which of several processes leads: the one that holds a session-level advisory lock of PostgreSQL,
// as a lease that the server enforces.
//
//	connect ──▶ standby ──▶ leader ──▶ Run returns
//	   ▲           │           │
//	   └─ broken ──┘           ├ lead returned, or Run's context ended: resigned, the successor leads within milliseconds
//	                           └ leadership lost: lead's context is cancelled, Run returns ErrLost, the process should end
//
// A standby polls, and spends each poll in the server's lock queue, so that it holds the lock within milliseconds of the end of
// the leader's session. The session ends with the leader's process. It also ends when the leader has been silent for the
// lease: every session tells the server so (idle_session_timeout) before it queues.
//
// The leader pings every fifth of the lease and reads in between, so that it sees the end of its session at once. Each ping
// proves that the session still holds the lock and that the term is still its own. Counted from the sending of the last ping
// that was answered, the leader's context is cancelled after 0.6 of the lease, and after 0.9 Options.Unhealthy has to end the
// process, even where lead ignores its context.
//
// # What it guarantees
//
//   - Terms rise: every leadership has a greater number than all before it in the same database.
//   - While the leader's clock runs at the server's pace, a leader that is cut off from the server, whichever way, has had its
//     context cancelled, and been told to end its process, before the server lets another one in.
//   - A planned stop is written down and frees the lock only after lead has returned.
//   - A database that cannot be reached is waited for; a standby never ends because of it.
//
// # What it does not guarantee
//
//   - When something other than silence ends the leader's session, an administrator for example, the successor may begin some
//     milliseconds before the old leader has stopped. Fence durable writes with Term.Number.
//   - A process that was stopped (SIGSTOP, a paused machine) past its lease runs on for an instant when it wakes.
//   - When a replica is promoted while the old primary lives, both have a leader: locks are not replicated. Use synchronous
//     replication, or fence with Term.Timeline first and then Term.Number.
package election
