// Package group is what the engines of a leader say of their group, and ask of others: that it is led, what its leader
// declares, and for how long it has been led without a name that an earlier leader had.
//
// A group is all leaders of one election, one after the other. Its row in pgsolo.jobs_group has an id, and the leader
// holds the advisory lock (oid of that table, id), in shared mode, on a session of its own: pg_locks shows every role
// whether a leader lives. No handler waits for that lock. So another group takes a name of this one only when the lock
// has been absent for a while, or the leader before has stopped as planned. See Attend.
//
// What a leader lacks is marked by the functions of migration 0007, with the time for which its group had been led.
// That time passes while a leader counts it, on its monotonic clock: time in which there is none does not count, nor
// what has passed since the last count of one that was killed.
//
// A configuration is told from another one by a fingerprint, which is computed once for all leaderships of a process.
// Where a leader has declared the same before, the fingerprint is all that is sent, so that a takeover costs the same
// with one job and with ten thousand; and what the leader before had is read only where it differs.
package group
