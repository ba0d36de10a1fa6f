package logread

import "time"

// Point is a time up to which the ids of the log had been given out once. An event under an id up to it whose
// transaction began later, and has no lower number, has the id of another one.
type Point struct {
	ID     int64      // the highest that had been given out, as far as it is known
	At     *time.Time // by the server's clock; nil: there is no such point
	Number *int64     // of a transaction; nil: not known
}

// Claim is how the log was when what a handler is done with was claimed.
type Claim struct {
	Epoch int64
	Point // of the latest write of what is done; where it is not known, ID is 0
}
