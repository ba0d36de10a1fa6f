// Package exec runs a program for an event or a tick. It works on Linux, macOS and other Unix systems with /bin/sh.
//
// # What the program gets
//
// The event's payload is on standard input; for a tick, standard input is empty. A program need not read it. The
// environment has three layers, and the later one wins:
//
//   - what this process itself inherited, without every variable that begins with PGSOLO_. So DATABASE_URL and the like
//     are passed on, as a service's child expects, while settings of pgsolo's own and the facts of an outer command are
//     not. To withhold another variable, set it to the empty string in Env.
//   - Command.Env
//   - PGSOLO_NAME, PGSOLO_IDEMPOTENCY_KEY (absent where there is none), PGSOLO_ATTEMPT, PGSOLO_TERM, one variable for
//     each fact of the invocation (PGSOLO_EVENT_ID, PGSOLO_TOPIC, PGSOLO_CHANNEL, PGSOLO_KEY, PGSOLO_CREATED_AT for an
//     event; PGSOLO_SCHEDULED_AT, PGSOLO_CATCH_UP, PGSOLO_MANUAL for a tick), and PGSOLO_HEADER_<NAME> for each header
//     of the event. <NAME> is the header's name in upper case with an underscore for each byte that is not an ASCII
//     letter or digit. Where two headers get one name, the one whose own name comes first in byte order is passed.
//     PGSOLO_SCHEDULED_AT is RFC 3339 in the time zone of the job, with a fraction only where a run was triggered;
//     PGSOLO_CATCH_UP (a missed tick is made up for) and PGSOLO_MANUAL (it was triggered) are true or false.
//
// # What is guaranteed
//
//   - Exit status 0 is success, and everything else is an error that has the exit status or the signal and the last 2
//     KiB of output. It names the program but not its arguments, which may hold secrets.
//   - The command is a process group of its own, and the group ends with the command: as soon as the program itself
//     exits, whatever it left running in the background is killed.
//   - When the context ends, the group gets SIGTERM, and SIGKILL when Grace is over. That attempt has failed, even if
//     the program answers SIGTERM with exit status 0. Processes that share the program's output have all of Grace;
//     others are killed when the program exits.
//   - When the leadership is over (jobs.Over), the group gets SIGKILL at once: Grace is for handovers and timeouts, and
//     ends early if it has begun. A leader whose session ended is over at once; one that gets no answer has its context
//     ended first, with SIGTERM, and is over before another can lead.
//   - Right before the start of the program it is asked whether the leadership is still held (jobs.Held), so that
//     a process which was frozen meanwhile starts nothing when it goes on.
//   - When this process dies, even by kill -9, the group gets SIGKILL at once: its first member is a shell that waits
//     for the end of a pipe from this process. The shell costs about a millisecond for each command.
//   - Output is read as fast as the program writes it and memory for it stays below 100 KiB, or 200 KiB for a tick,
//     while the program runs. At debug level each line is logged.
//   - For a tick the report gets the last 64 KiB of output, standard output and standard error as they come, and the
//     exit status of the program, 0 included, also where the context has ended it. A program that did not start, or
//     that a signal has ended, leaves no exit status: the error says which it was.
//   - Run joins every goroutine that it started, and returns at the latest one second after the group was killed.
//
// # What is not guaranteed
//
//   - An argument that a program takes for a program, as sh does with the one behind -c, is one: put data that you do
//     not trust into an argument of its own, or into Env. config.hcl refuses it there for programs that it knows. A
//     shell without a program takes the payload for one.
//   - A process that leaves the group (setsid, a daemon, a job-control shell) or changes its user (sudo) may outlive
//     the command and this process. If it keeps the output open, it is not waited for longer than one second.
//   - A frozen process (SIGSTOP) does not end its commands: they work on while a successor starts. Where that matters,
//     let the resource compare PGSOLO_TERM with the highest term it has seen.
//   - A command may run again after it was cut off, or after it succeeded and the leader died before it wrote that
//     down. PGSOLO_IDEMPOTENCY_KEY stays the same.
//   - A process that cannot be killed, as in a hung network file system, holds Run until the kernel lets go of it.
//   - Output is not searched for secrets: what the program prints ends in the error, in the debug log and, for
//     a tick, in the history.
//   - An environment variable has a limit, 128 KiB on Linux: an event with a larger key or header fails at the start of
//     the program. The payload has none.
//   - Orphans of the command are reaped by the system's init. In a container where this process is PID 1, use an init
//     such as tini for commands that leave processes behind.
package exec
