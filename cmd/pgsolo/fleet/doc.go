// Package fleet runs replicas as real processes, and witnesses what they do: it starts, kills, freezes and thaws
// processes, reads what they print and answer, and is the target of their webhooks. The demo, the bench, the end-to-end
// tests and fault runs stand on it. It knows the program from outside alone, by its command line, its log, its HTTP
// interface and its webhooks, and imports no other package of ours.
//
// # Guaranteed
//
//   - A process has ended, and all of its output has been taken in, when Ended is closed.
//   - Freeze returns when every thread has stopped, where the system has /proc.
//   - A witness that is closed calls nothing any more.
//   - A call of a term that comes after one of a later term is an overlap, unless its leader was to be killed: what
//     that one had sent may be read late.
//
// # Not guaranteed
//
//   - A process outlives this one if it does not watch its standard input: its end is this process's end, and only
//     `pgsolo run --with-parent` and the bench's competitors end with it.
package fleet
