// Package privatepg runs a PostgreSQL of this process's own, for pgsolo dev, pgsolo demo and, through package pgtest,
// the tests of the module.
//
// # Where PostgreSQL comes from
//
// The first of these that holds postgres and initdb of one version from 14 to 18:
//
//  1. PGSOLO_PG_BIN, a folder. If it is set and does not fit, Start fails; nothing else is tried.
//  2. the folders of PATH, links resolved
//  3. the newest of /usr/lib/postgresql/*/bin
//  4. Homebrew, the newest first
//  5. the cache of downloads, filled once by embedded-postgres from its repository, or from PGSOLO_PG_REPOSITORY
//
// # Who stops it
//
// Start runs a small shell script, the supervisor, in a session of its own. The script starts PostgreSQL, makes the run
// folder (socket, log, temporary data) and removes it. It holds the read end of a pipe whose only write end is in this
// process:
//
//	this process ──commands──▶ supervisor (/bin/sh) ──▶ initdb, then postgres
//	             ◀──"ended"───
//
// When the pipe ends, by Stop or because the kernel closed it, the script shuts PostgreSQL down fast, after five
// seconds immediately, in the end with SIGKILL, and removes the run folder.
//
// # Guaranteed
//
//   - After Stop, after a failed or cancelled Start, and soon after the death of this process by whatever signal, at
//     whatever moment, no process and no temporary folder is left.
//   - A Ctrl-C in the terminal does not reach PostgreSQL; its owner decides when it ends.
//   - Only the user that runs it, and root, can connect without a password: a unix socket is in a folder with
//     mode 0700, and the loopback port, which is used on request and where the folder's path is too long for a socket,
//     takes a random password (SCRAM). A URL with a password is never logged.
//   - Root's server runs as the user postgres, or else nobody, without root's groups, and with its files where that
//     user can reach them.
//   - A download is verified by its checksum, and processes that download at the same time do not disturb one another.
//
// # Not guaranteed
//
//   - Temporary data does not survive a crash of the machine: fsync is off. Commits still wait for one another as in
//     production: synchronous_commit is on.
//   - The supervisor and this process killed with SIGKILL together leave PostgreSQL running.
//   - The user that runs PostgreSQL needs an entry in the user database, because initdb insists on one.
//   - It is not for production: the role is a superuser, and there are no backups.
//   - Windows is not supported.
package privatepg
