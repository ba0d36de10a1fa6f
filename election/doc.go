// Package election decides which of several processes leads: the one that holds a session-level advisory lock of
// PostgreSQL, as a lease that the server enforces.
//
//	connect ──▶ standby ──▶ end the predecessor's sessions ──▶ leader ──▶ Run returns
//	   ▲           │                                             │ │
//	   ├─ broken ──┘                                             │ ├ lead returned, or Run's context ended: resigned
//	   └──── asked to step down: resigned ───────────────────────┘ └ leadership lost: lead's context is cancelled,
//	                                                                 Run returns ErrLost, and the process should end
//
// A standby polls, and spends each poll in the server's lock queue, so that it holds the lock within milliseconds of
// the end of the leader's session. The session ends with the leader's process. It also ends when the leader has been
// silent for the lease: every session tells the server so (idle_session_timeout) before it queues.
//
// Holding the lock is not enough: an administrator or a proxy may have ended only the lock session, and the process
// works on. Every session of a leader bears its term in application_name (Term.Session). Unless the last leader
// resigned, its successor waits until none is left, at the longest for one lease after the last ping that it saw, and
// then ends them. After a kill -9 there is nothing to wait for: the kernel has closed them all.
//
// The leader pings every fifth of the lease and reads in between, so that it sees the end of its session at once. Each
// ping proves that the session still holds the lock and that the term is still its own. Counted from the sending of the
// last ping that was answered, the leader's context is cancelled after 0.6 of the lease, and after 0.9
// Options.Unhealthy has to end the process, even where lead ignores its context.
//
// # What it guarantees
//
//   - Terms rise: every leadership has a greater number than all before it in the same schema, whatever the election.
//   - While the leader's clock runs at the server's pace, a leader that is cut off from the server, whichever way, has
//     had its context cancelled, and Options.Unhealthy called if lead has not returned, before the server lets another
//     one in.
//   - When a leader that did not resign is followed, its sessions have ended, as far as they bear its term. One that
//     the server cannot end, or that belongs to a role which this one may not end, is named in the log as an error and
//     not waited for.
//   - A planned stop is written down and frees the lock only after lead has returned.
//   - A leader that makes no progress (Options.Healthy) loses the leadership like one that is cut off.
//   - A database that cannot be reached is waited for; a standby never ends because of it. A hot standby of PostgreSQL
//     is waited for, too: no replica leads there until it is promoted.
//   - Where no lease can hold, no replica leads: on a server older than 14, behind a pooler that shares sessions
//     (transaction or statement mode), while another application holds the lock. Each is named in the error or the log.
//
// # What it does not guarantee
//
//   - Effects outside the database. When not the lease, but an administrator or a proxy that drops connections, ends
//     the lock session of a leader that has no other session, the successor may begin before the old leader has
//     noticed: for milliseconds, or up to 0.6 of the lease where the end does not reach it. A process that was frozen
//     (SIGSTOP) past its lease runs on for an instant when it wakes. Ask Term.Held right before an effect, or hand
//     Term.Number to what you change and let it refuse lower ones.
//   - When a replica is promoted while the old primary lives, both have a leader: locks are not replicated. Use
//     synchronous replication, or fence with Term.Timeline first and then Term.Number.
//
// # For people
//
// pgsolo.leadership is the history, one row per term with how it ended. `select pgsolo.step_down('main')` asks the
// leader to hand over. In pg_stat_activity every session says what it is.
package election
