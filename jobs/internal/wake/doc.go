// Package wake wakes the readers of the event log when there is something to read: by the doorbell that producers ring,
// and by a poll for what came without a ring.
//
// A reader that lags is woken within a second of the commit, whether or not its ring is lost. After twenty rings within
// a tenth of a second the bell is disarmed, and the log is read every few milliseconds until nothing comes. A Bell
// writes nothing once a newer leader of its group has written its own term.
package wake

import "github.com/pgsolo/pgsolo/jobs/internal/logread"

// Consumer is a reader of the log that sleeps while there is nothing to read. All is called once per ring or poll,
// never per event, and from any goroutine.
type Consumer interface {
	Ring()           // read again, soon
	RetryNow()       // query the deliveries that are due: some have been changed; nothing for a reader that has none
	SeenTo() int64   // the highest id read
	RowsRead() int64 // how many rows, so far

	// Claim is how the log was when what is done was claimed; nil before that.
	Claim() *logread.Claim
}
