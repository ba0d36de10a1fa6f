package replica

import (
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/listener"
)

// MessageBuffer is how many messages of a channel may wait for its handler.
const MessageBuffer = 1024

// Subscribe lends a runner the subscriptions of a listener.
func Subscribe(l *listener.Listener) func(channel string) (jobs.Subscription, error) {
	return func(channel string) (jobs.Subscription, error) {
		s, err := l.Subscribe(channel)
		if err != nil {
			return jobs.Subscription{}, err
		}
		return jobs.Subscription{Messages: s.Messages(), Missed: s.Missed(), Close: s.Close}, nil
	}
}
