// Package rows is all SQL of cron jobs: the claim of a group's jobs, the rows of their runs, the commands of operators,
// and the history.
//
// It takes and returns plain values, and knows no schedule and no policy. Each transaction that writes for a term locks
// the row of the group's leader first: that puts it before or after a newer leader's claim, and after one it writes
// nothing. Every step may be repeated when its answer was lost.
package rows
