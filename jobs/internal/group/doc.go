// Package group is what the engines of a leader say of their group, and ask of others: that it is led, what its leader
// declares, and for how long it has been led without a name that an earlier leader had.
//
// A group is all leaders of one election, one after the other. Its row in pgsolo.jobs_group has an id, and the leader
// holds the advisory lock (oid of that table, id), in shared mode, on a session of its own, or one for all leaderships
// of its process: pg_locks shows every role whether a leader lives. No handler waits for that lock. So another group
// takes a name of this one only when the lock has been absent for a while, or the leader before has stopped as planned.
// See Attend.
//
// What a leader lacks is marked by the functions of migration 0007, with the time for which its group had been led.
// That time passes while a leader counts it, on its monotonic clock: time in which there is none does not count, nor
// what has passed since the last count of one that was killed.
//
// A configuration is told from another one by a fingerprint, which is computed once for all leaderships of a process.
// Where a leader has declared the same before, the fingerprint is all that is sent, so that a takeover costs the same
// with one job and with ten thousand; and what the leader before had is read only where it differs.
//
// # Verbs
//
// What a name has in the tables is let go, or given to another name, by functions of migration 0007 (forget_handler and
// so on), so that psql and package admin do the same. They run as the owner, with the rights to all tables, and are
// granted to nobody. A handler's row in pgsolo.cursor, a job's in pgsolo.cron_job and an election's in jobs_group is
// locked first, and all topics by their table: a leader that claims or declares the name meanwhile waits for the verb,
// or the verb for it. A leader that lives and declares the name is found by its lock and by the absence of a mark, and
// the verb is refused. One without the lock, whose role may not take it or whose session has just broken, is not found:
// its cursor is gone, its writes of progress find no row, and its term ends.
//
// forget_election is the sum of them for a group that nobody leads. It takes what has the group's name at that moment:
// a handler that another group waits for is forgotten, too, until that group has claimed it. So an election is renamed
// by starting the new one first. The row of package election stays, since jobs know nothing of elections.
//
// # What is held back
//
// The view pgsolo.held_back is what the trimmer of the log and the check of topics go by, seen from the other side:
// cursors that are marked and not retired, positions in topics that a handler has left, topics and jobs that are
// marked, and all cursors and topics of a group that has not been led for an hour. It counts rows and bytes of the log
// by reading what is not done, up to 100,000 rows for each name, and says where there are others (or_more). A leader
// reads it every ten minutes, and goes on without. With a position it counts what the handler has taken out of the log
// (deliveries), which waits until it is back at that topic.
//
// # Leaders of the version before
//
// They declare nothing, hold no lock and enter nowhere. Triggers see what they write, for their statements stay what
// they are: a cursor that they take out of their configuration is marked instead (mark_cursors), a job that they forget
// is marked as well (mark_job), a claim with another topic keeps the position of the one before (keep_position), and
// know, which they call, has the topics that they lack accepted until the grace is over. A claim of this version says
// that the trigger has nothing to do for it (the column simple). What they read cannot be helped: they delete events
// that only a left topic or the retention of another configuration holds back, and take names of another group at once.
//
// That one may live is seen by a claim with a term above that of the latest leader that has entered (claimed_term), if
// there was a sign of it lately, since it writes from time to time (may_be_led). The verbs are refused then, and a
// leader beside it counts no time: the other one may have the names that it lacks.
package group
