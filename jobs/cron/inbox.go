package cron

import (
	"time"

	"github.com/pgsolo/pgsolo/jobs"
)

// How often the database is asked which jobs were paused, resumed or triggered: where there is a subscription for that,
// and where there is none.
const (
	pollSubscribed   = 10 * time.Second
	pollUnsubscribed = 500 * time.Millisecond
)

// inbox says when the database is to be asked for commands: which jobs were paused, resumed or triggered. It belongs
// to the goroutine of the term.
type inbox struct {
	notified <-chan string   // receives when there may be some; nil: no subscription
	missed   <-chan struct{} // receives after notified may have missed messages
	polledAt time.Time       // when the database was last asked; zero: it is to be asked at once
}

func (b *inbox) subscribe(s jobs.Subscription) { b.notified, b.missed = s.Messages, s.Missed }

// notify has the database asked at once. open is false when the subscription has ended.
func (b *inbox) notify(open bool) {
	b.polledAt = time.Time{}
	if !open {
		b.notified = nil // the listener has ended, and with it soon the leader
	}
}

// untilPoll returns how long until the database is to be asked again.
func (b *inbox) untilPoll() time.Duration {
	every := pollUnsubscribed
	if b.notified != nil {
		every = pollSubscribed
	}
	return max(0, every-time.Since(b.polledAt))
}

// poll says whether the database is to be asked now, and then counts that as done.
func (b *inbox) poll() bool {
	if b.untilPoll() > 0 {
		return false
	}
	b.polledAt = time.Now()
	return true
}
