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
// silent for the lease: every session tells the server so (idle_session_timeout) before it queues. One that has not
// begun a term may be silent for a poll and a second alone: a standby that is frozen at the head of the queue inherits
// the lock, and keeps it no longer.
//
// The leader pings every fifth of the lease and reads in between, so that it sees the end of its session at once. Each
// ping proves that the session still holds the lock and that the term is still its own. Where the server refuses to
// read the leader row, because it is locked, the statement was cancelled, or the role may not, the lock alone is the
// proof, which reads no table: no other session begins a term without it.
//
// # What ends, and when
//
// Where the session of a leader ends, or no longer holds the lock, another may lead within milliseconds. The leader's
// context ends at once, and Term.Over is closed with it: what runs outside of the process is to be killed.
//
// Where no ping is answered, the session may still be there. Counted from the sending of the last ping that was
// answered:
//
//	0.2   the next ping
//	0.6   Term.Held is false, for good; the context ends; what runs may stop by itself
//	0.85  Term.Over is closed: what still runs outside of the process is to be killed
//	0.9   Options.Unhealthy has to end the process, where lead has not returned
//	1     the server ends the session, and a standby does, whichever comes first: another may lead
//
// All of it is counted on the monotonic clock, which does not step. It stops while the machine is suspended: so it is
// compared with the boot clock, where the system has one, and with the wall clock. What the boot clock shows more
// counts as time. Any other difference has a ping sent at once, and Term.Held waits for its answer.
//
// A standby counts too. A read shows it the date of the leader's last sign of life, which it compares with nothing but
// itself. Once it has seen the same for a whole lease on its own clock it ends the session: the server would do so by
// a date of its wall clock, which may have been set back.
//
// # What ends a leadership
//
// Silence is only what got no answer. As long as the session is there and holds the lock, no other one begins a term:
// so whatever else the server answers to a ping ends none.
//
//	answer to a ping (SQLSTATE)                  becomes of it
//	none for 0.6 of the lease                    end of the term
//	FATAL (57P01 to 57P05, 25P03), 08…           end of the term: the session has ended, and the lock with it
//	no lock, or another term                     end of the term
//	42P01, 42703, 42883, 42P10, 3F000, 3D000     end of the term: the tables are gone, or others
//	42501, also by row security; 57014, 55P03,   the lock alone is the proof, which reads no table, and the log says
//	40…, 53…, 25006, 0A…, 26…, XX… and others    so each minute, with the grant or the holders of locks
//
// A standby tries again, with what the server says in the log, where it has stood by before or a later try may succeed.
// Run returns what only a person can mend: 28… (role, password), 42704 (a setting), and before it first stood by 42501
// and tables that are not there. To prune the history and to be in the list of replicas is optional for both.
//
// # The successor's wait
//
// Holding the lock is not enough: an administrator or a proxy may have ended only the lock session, and the process
// works on. Every session of a leader bears its term in application_name (Term.Session), and the leader closes them
// when its work has stopped. Unless the last leader resigned, its successor waits until none is left, and then ends
// those that are, with what they run. It waits
//
//   - until one lease after it saw the last ping, where the silence since is proved for 0.6 of the lease: the leader
//     has lost its leadership by then, and no later answer gives it back. So a takeover from a leader that is frozen
//     takes the lease and a ping at most.
//   - otherwise until one lease after it won the lock, since a later ping may have escaped it.
//   - not at all where none is left: they ended with their process. After a kill -9 the kernel has closed them within
//     milliseconds, and a lone replica that is started again waits for nothing.
//   - except where the server itself has restarted since the term began, or crashed, for that has ended them (the start
//     of the server stands in the history of the term). Then it waits until one lease after that restart, and no longer
//     than until the old leader has said that it has stopped: a leader that was lost tries to write that, on
//     a connection of its own, once everything has stopped and until 0.9 of its lease is over. A standby that met the
//     leader in the session that wins knows that there was no restart.
//
// The lease is that of the leader, which stands in the history too.
//
// # What it guarantees
//
//   - Terms rise: every leadership has a greater number than all before it in the same schema, whatever the election.
//     Options.LowestTerm says what else has seen greater ones.
//   - While the clocks of leader and standby run at one pace, a leader that is cut off from the server, whichever way,
//     has had its context cancelled, Term.Over closed, and Options.Unhealthy called if lead has not returned, before
//     another one is let in. Neither a step of a wall clock nor a suspended machine changes that.
//   - Term.Held is never true again after it was false.
//   - A leader whose row is deleted, or whose tables are dropped or restored, ends with its next ping. A row that is
//     made anew has another lock, and so has a table: a session makes no row while one of this election's leaders holds
//     a lock that no row has, and a successor waits for the sessions of each later term than the row knows.
//   - Tables that a standby has found once are waited for when they are missing or not complete: they are being
//     restored. The reason stands in the log, with who has locked them.
//   - When a leader that did not resign is followed, its sessions have ended, as far as they bear its term. One that
//     the server cannot end, or that belongs to a role which this one may not end, is named in the log as an error and
//     not waited for.
//   - A planned stop is written down and frees the lock only after lead has returned.
//   - A leader that makes no progress (Options.Healthy) loses the leadership like one that is cut off.
//   - A database that cannot be reached is waited for; a standby never ends because of it. A hot standby of PostgreSQL
//     is waited for, too: no replica leads there until it is promoted.
//   - Where no lease can hold, no replica leads: on a server older than 14, behind a pooler that shares sessions
//     (transaction or statement mode), while another application holds the lock. Each is named in the error or the log.
//   - A session is one of a leader or a standby by its role, not by its name alone: any role that may connect can call
//     itself what it likes. One that takes the lock of an election is named in the log and in Status.Denied; one that
//     takes the lock under which terms begin keeps nobody from beginning them.
//
// # What it does not guarantee
//
//   - Effects outside the database. When not the lease, but an administrator or a proxy that drops connections, ends
//     every session of a leader, the successor may begin before the old leader has noticed: for milliseconds, or up to
//     0.6 of the lease where the end does not reach it. A process that was frozen (SIGSTOP) past its lease, or a
//     machine that was suspended, runs on for an instant when it wakes. Ask Term.Held right before an effect, or hand
//     Term.Number to what you change and let it refuse lower ones.
//   - A machine whose clocks are all stopped and go on where they were, as a virtual one that is paused may be, cannot
//     tell. Term.Number is what fences it.
//   - A server that was restarted, whose wall clock is then set forward, before a replica that was not there before
//     connects: that replica believes the restart to be longer ago.
//   - When a replica is promoted while the old primary lives, both have a leader: locks are not replicated. Use
//     synchronous replication, or fence with Term.Timeline first and then Term.Number. The sessions of one leader may
//     then be on both servers, those that it opens last on the new one: Term.ServerStart tells which are where its lock
//     is. With a pool of pgx, compare it in pgxpool.Config.PrepareConn, with a listener in listener.Options.Accept.
//
// # For people
//
// A leader compares its clock with the database's at each ping, and says where they differ (Status.ClockAhead): no
// lease depends on that, but what it runs may.
//
// pgsolo.leadership is the history, one row per term with how it ended. pgsolo.replica is who takes part now: a session
// that queues or leads has written its row once, and is there as long as it holds the advisory lock of that row.
// `select pgsolo.step_down('main')` asks the leader to hand over. In pg_stat_activity every session says what it is.
package election
