package jobs

import "github.com/pgsolo/pgsolo/jobs/internal/pg"

// ErrFenced means that a leader of a newer term owns the rows: this one must write nothing more. The remedy is to stop.
var ErrFenced = pg.ErrFenced

// Lead is what an engine is told of a leadership.
type Lead struct {
	Term     int64           // the higher one is the newer one
	Holder   string          // who leads, for the history of cron jobs; may be empty
	Stopping <-chan struct{} // closed when it should hand over; nil: never
	Held     func() bool     // asked right before a handler or job is called, which is not if false; nil: always true
}

// Subscription is what an engine needs of a LISTEN session.
type Subscription struct {
	Messages <-chan string   // payloads; closed when the subscription ends
	Missed   <-chan struct{} // receives after messages may have been missed
	Close    func()
}
