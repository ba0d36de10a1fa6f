package listener

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// registry is the subscriptions, and what LISTEN is in force for them. Its lock guards every send to and every close of
// a subscription's channels.
type registry struct {
	wake  chan struct{} // capacity 1: there is something for Run to do
	calls atomic.Int64  // of Subscribe

	mu            sync.Mutex                 // guards all below, and the fields of each Subscription that say so
	started       bool                       // Run was called
	ended         bool                       // Run has returned or is about to
	sessions      uint64                     // how many there have been
	subscriptions map[string][]*Subscription // by channel; no entry without a subscription
	listening     map[string]bool            // channels on which LISTEN is in force and stays so
	changed       map[string]bool            // channels whose LISTEN or UNLISTEN may be due
	rename        bool                       // a new application_name is due
	wantedSince   time.Time                  // when the first of the present subscriptions was made
	episodes      []episode                  // to be logged by Run's goroutine
	stats         Stats                      // all but Channels and Subscriptions
}

func newRegistry() *registry {
	return &registry{
		wake:          make(chan struct{}, 1),
		subscriptions: make(map[string][]*Subscription),
		listening:     make(map[string]bool),
		changed:       make(map[string]bool),
	}
}

// start lets Run in once.
func (r *registry) start() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.ended:
		return ErrEnded
	case r.started:
		return errors.New("the listener runs already")
	}
	r.started = true
	return nil
}

// end closes every subscription and refuses new ones.
func (r *registry) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	for _, subscriptions := range r.subscriptions {
		for _, s := range subscriptions {
			s.endLocked()
		}
	}
	clear(r.subscriptions)
	clear(r.changed)
	r.stats.Connected = false
}

// wakeRun makes Run read what has changed. It does not block.
func (r *registry) wakeRun() {
	select {
	case r.wake <- struct{}{}:
	default: // Run is about to read it
	}
}

// add enters a subscription.
func (r *registry) add(s *Subscription) error {
	r.calls.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return fmt.Errorf("subscribe to channel %q: %w", s.channel, ErrEnded)
	}
	if len(r.subscriptions) == 0 {
		r.wantedSince = time.Now()
	}
	s.index = len(r.subscriptions[s.channel])
	r.subscriptions[s.channel] = append(r.subscriptions[s.channel], s)
	if r.listening[s.channel] {
		s.establishLocked()
		return nil
	}
	r.changed[s.channel] = true
	r.wakeRun()
	return nil
}

// remove ends a subscription; the last of a channel takes the LISTEN back.
func (r *registry) remove(s *Subscription) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.closed {
		return
	}
	s.endLocked()
	all := r.subscriptions[s.channel]
	last := len(all) - 1
	all[s.index], all[last].index = all[last], s.index
	all[last] = nil
	if last > 0 {
		r.subscriptions[s.channel] = all[:last]
		return
	}
	delete(r.subscriptions, s.channel)
	r.changed[s.channel] = true
	r.wakeRun()
}

// requestRename makes a new application_name due.
func (r *registry) requestRename() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rename = true
	r.wakeRun()
}

// unused says that there is no subscription.
func (r *registry) unused() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.subscriptions) == 0
}

// usedFor is for how long there have been subscriptions without a break. used is false while there is none.
func (r *registry) usedFor() (d time.Duration, used bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Since(r.wantedSince), len(r.subscriptions) > 0
}

// takeChanges returns the channels that a LISTEN and an UNLISTEN are due for, and whether a new name is. A channel to
// be left counts as left from here on, so that one who subscribes to it meanwhile asks for a LISTEN of its own.
func (r *registry) takeChanges() (listen, unlisten []string, rename bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for channel := range r.changed {
		wanted := len(r.subscriptions[channel]) > 0
		switch {
		case wanted && !r.listening[channel]:
			listen = append(listen, channel)
		case !wanted && r.listening[channel]:
			unlisten = append(unlisten, channel)
			delete(r.listening, channel)
		}
	}
	clear(r.changed)
	rename, r.rename = r.rename || len(listen)+len(unlisten) > 0, false
	return listen, unlisten, rename
}

// changeAll makes a LISTEN due for every channel: a new session listens to nothing, as disconnected has noted.
func (r *registry) changeAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.changed) // of those that were left meanwhile
	for channel := range r.subscriptions {
		r.changed[channel] = true
	}
}

// established notes that LISTEN is in force, and closes Established. A subscription that was closed meanwhile has left
// its channel among the changed, so that the LISTEN which has no use any more is taken back next.
func (r *registry) established(channels []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.establishedLocked(channels)
}

func (r *registry) establishedLocked(channels []string) {
	for _, channel := range channels {
		r.listening[channel] = true
		for _, s := range r.subscriptions[channel] {
			s.establishLocked()
		}
	}
}

// reject ends the subscriptions to a channel whose name the server does not take.
func (r *registry) reject(channel string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.subscriptions[channel] {
		s.endLocked()
	}
	delete(r.subscriptions, channel)
}

// connected notes that a session is up with LISTEN in force on the channels. After a reconnect each of their
// subscriptions may have missed messages.
func (r *registry) connected(channels []string) (reconnect bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.establishedLocked(channels)
	r.stats.Connected = true
	r.sessions++
	if r.sessions == 1 {
		return false
	}
	r.stats.Reconnects++
	for _, channel := range channels {
		for _, s := range r.subscriptions[channel] {
			s.missLocked()
		}
	}
	return true
}

// disconnected notes that no LISTEN is in force any more.
func (r *registry) disconnected() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Connected = false
	clear(r.listening)
}

// probed notes a probe that came back.
func (r *registry) probed(roundTrip time.Duration, usage float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.ProbeRoundTrip, r.stats.QueueUsage = roundTrip, usage
}

// snapshot is the stats of the moment.
func (r *registry) snapshot() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	stats := r.stats
	stats.Channels = len(r.subscriptions)
	for _, subscriptions := range r.subscriptions {
		stats.Subscriptions += len(subscriptions)
	}
	return stats
}
