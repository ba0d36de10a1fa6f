// Package admin is for operators: it shows and changes what handlers have given up, shows and steers cron jobs, and
// forgets or renames what the configuration has no more. It needs the database and no leader. Each change is also an
// SQL function, for psql and other languages.
//
// # In which transaction
//
// Each call takes part in the transaction that db is; without one, it is committed when the call returns. A leader
// acts on a change once that has been committed.
//
// # What a role needs
//
// Usage of the schema, and for
//
//   - DeadLetters.List and Get, to select from the view pgsolo.dead_letter
//   - DeadLetters.Replay, to execute pgsolo.replay, and for Discard pgsolo.discard
//   - CronJobs.Pause, Resume and Trigger, to execute pgsolo.pause_job, resume_job and trigger_job
//   - Names, to execute pgsolo.forget_handler, forget_position, forget_topic, forget_job, forget_election and
//     rename_handler
//   - CronJobs.Runs, to select from pgsolo.cron_run
//
// The functions run with the rights of their owner.
//
// # What it guarantees
//
//   - A change is there for every later leader: it is in the tables, not in a process.
//   - The leader acts on a pause, a resumption or a trigger within a second of the commit, and within ten seconds if
//     its LISTEN session was just lost or the transaction has set pgsolo.ring to off.
//   - Nothing is forgotten or renamed that a leader declares, as far as its lock says that it lives. One of the version
//     before has no lock: it counts for two hours after it was seen, and for a day after a tick of its cron jobs.
//   - Replay and Discard touch nothing without a condition, unless the filter's All says that everything is meant.
//   - Arguments that are wrong by themselves are refused before the server sees them, so that the transaction can go
//     on.
//
// # What it does not guarantee
//
//   - That a triggered job starts: its overlap policy may skip it, which its history then shows.
//   - That a job paused by an open transaction does not start: a pause counts from its commit.
package admin
