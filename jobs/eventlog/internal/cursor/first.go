package cursor

// First are the statements with which a handler begins.
var First = []string{claimCursor, advanceCursor}
