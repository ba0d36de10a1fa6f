package jobs

import "time"

// HeldBack is what no leader declares any more and is held back for it all the same, until the grace is over.
type HeldBack struct {
	Kind  string // handler, position, topic, job, or election for one that has not been led for an hour
	Group string
	Name  string
	Topic string // of the log; of a position, the topic that the handler has left; empty for a job
	Since time.Time

	// Rows and Bytes are what a handler has not finished of the topic, as the rows are in the log. At most 100,000 rows
	// of the log are read for that: OrMore says that there are others.
	Rows, Bytes int64
	OrMore      bool

	// Deliveries are the retries, dated events and dead letters that wait, with a position, until the handler is back
	// at the topic; 100,000 may be more.
	Deliveries int64

	Remedy string // the statement that lets it go at once
}
