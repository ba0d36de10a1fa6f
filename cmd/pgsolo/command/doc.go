// Package command is the program's command line: one verb per file, and beside them what the verbs share, which is exit
// codes, signals, and the streams that a person or a log collector reads.
//
// A verb reads its flags and calls the package that does the work. A new one is a file of its own and a line in verbs.
//
// Run returns the exit code, so that a test binary can be the program. Only what cannot wait for that ends the process
// by itself: a second signal, a drain that does not end, the end of the process that started this one, and a leader
// that no longer can prove that it leads.
//
// No output holds up a replica, whether its reader is slow, has stopped or has gone: lines of the log are dropped, and
// the log says how many (package logwriter). A signal takes effect before it is logged, an exit is armed before its
// last line, and an output has a second to take what is left at the end.
package command
