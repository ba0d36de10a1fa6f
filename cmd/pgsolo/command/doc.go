// Package command is the program's command line: one verb per file, and beside them what the verbs share, which is exit
// codes, signals, and the streams that a person or a log collector reads.
//
// A verb reads its flags and calls the package that does the work. A new one is a file of its own and a line in verbs.
//
// Run returns the exit code, so that a test binary can be the program. Only what cannot wait for that ends the process
// by itself: a second signal, a drain that does not end, the end of the process that started this one, and a leader
// that no longer can prove that it leads.
package command
