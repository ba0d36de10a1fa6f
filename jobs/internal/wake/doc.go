// Package wake wakes the readers of the event log when there is something to read: by the doorbell that producers ring,
// and by a poll for what came without a ring.
package wake

// Consumer is a reader of the log that sleeps while there is nothing to read. All is called once per ring or poll,
// never per event, and from any goroutine.
type Consumer interface {
	Ring()           // read again, soon
	RetryNow()       // query the deliveries that are due: some have been changed
	SeenTo() int64   // the highest id read
	RowsRead() int64 // how many rows, so far
}
