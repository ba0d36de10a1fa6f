package logread

// First is the statement with which the log is first read.
var First = []string{selectNew}
