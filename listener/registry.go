package listener

import (
	"errors"
	"time"
)

// start lets Run in once.
func (l *Listener) start() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.ended:
		return ErrEnded
	case l.started:
		return errors.New("the listener runs already")
	}
	l.started = true
	return nil
}

// end closes every subscription and refuses new ones.
func (l *Listener) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	for _, subscriptions := range l.subscriptions {
		for _, s := range subscriptions {
			s.endLocked()
		}
	}
	clear(l.subscriptions)
	clear(l.changed)
	l.stats.Connected = false
}

// wakeRun makes Run look at what has changed. It does not block.
func (l *Listener) wakeRun() {
	select {
	case l.wake <- struct{}{}:
	default: // it is about to look
	}
}

// proven notes a probe that came back.
func (l *Listener) proven(roundTrip time.Duration, usage float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.ProbeRoundTrip, l.stats.QueueUsage = roundTrip, usage
}

// takeChanges returns the channels that a LISTEN and an UNLISTEN are due for, and whether a new name is. A channel to be left
// counts as left from here on, so that whoever subscribes to it meanwhile asks for a LISTEN of its own.
func (l *Listener) takeChanges() (listen, unlisten []string, rename bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for channel := range l.changed {
		wanted := len(l.subscriptions[channel]) > 0
		switch {
		case wanted && !l.listening[channel]:
			listen = append(listen, channel)
		case !wanted && l.listening[channel]:
			unlisten = append(unlisten, channel)
			delete(l.listening, channel)
		}
	}
	clear(l.changed)
	rename, l.rename = l.rename || len(listen)+len(unlisten) > 0, false
	return listen, unlisten, rename
}

// established notes that LISTEN is in force and tells the subscriptions. One that was closed meanwhile has left its channel
// among the changed, so the LISTEN that nobody wants any more is taken back next.
func (l *Listener) established(channels []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.establishedLocked(channels)
}

func (l *Listener) establishedLocked(channels []string) {
	for _, channel := range channels {
		l.listening[channel] = true
		for _, s := range l.subscriptions[channel] {
			s.establishLocked()
		}
	}
}

// refuse ends the subscriptions to a channel whose name the server does not take.
func (l *Listener) refuse(channel string, err error) {
	l.mu.Lock()
	for _, s := range l.subscriptions[channel] {
		s.endLocked()
	}
	delete(l.subscriptions, channel)
	l.mu.Unlock()
	l.logger.Error("the server takes no such channel; its subscriptions have ended", "channel", channel, "error", err)
}

// wantAll makes a LISTEN due for every channel: a new session listens to nothing, as disconnected has noted.
func (l *Listener) wantAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.changed) // of those that were left meanwhile
	for channel := range l.subscriptions {
		l.changed[channel] = true
	}
}

// connected notes that a session is up with LISTEN in force on the channels. After a reconnect it tells each of their
// subscriptions that messages may have been missed.
func (l *Listener) connected(channels []string) (reconnect bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.establishedLocked(channels)
	l.stats.Connected = true
	l.sessions++
	if l.sessions == 1 {
		return false
	}
	l.stats.Reconnects++
	for _, channel := range channels {
		for _, s := range l.subscriptions[channel] {
			s.missLocked()
		}
	}
	return true
}

// disconnected notes that no LISTEN is in force any more.
func (l *Listener) disconnected() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Connected = false
	clear(l.listening)
}
