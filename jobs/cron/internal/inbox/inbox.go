// Package inbox says when a leader asks the database for commands of operators.
package inbox

import (
	"time"

	"github.com/pgsolo/pgsolo/jobs"
)

// How often the database is asked which jobs were paused, resumed or triggered: where there is a subscription for that,
// and where there is none.
const (
	PollSubscribed   = 10 * time.Second
	pollUnsubscribed = 500 * time.Millisecond
)

// Inbox says when the database is to be asked for commands: which jobs were paused, resumed or triggered. It belongs
// to the goroutine of the term.
type Inbox struct {
	Notified <-chan string   // receives when there may be some; nil: no subscription
	Missed   <-chan struct{} // receives after Notified may have missed messages
	polledAt time.Time       // when the database was last asked; zero: it is to be asked at once
}

// Subscribe has it told of commands.
func (b *Inbox) Subscribe(s jobs.Subscription) { b.Notified, b.Missed = s.Messages, s.Missed }

// Notify has the database asked at once. open is false when the subscription has ended.
func (b *Inbox) Notify(open bool) {
	b.polledAt = time.Time{}
	if !open {
		b.Notified = nil // the listener has ended, and with it soon the leader
	}
}

// UntilPoll returns how long until the database is to be asked again.
func (b *Inbox) UntilPoll() time.Duration {
	every := pollUnsubscribed
	if b.Notified != nil {
		every = PollSubscribed
	}
	return max(0, every-time.Since(b.polledAt))
}

// Poll says whether the database is to be asked now, and then counts that as done.
func (b *Inbox) Poll() bool {
	if b.UntilPoll() > 0 {
		return false
	}
	b.polledAt = time.Now()
	return true
}
