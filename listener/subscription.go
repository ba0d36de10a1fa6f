package listener

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxName is the longest name of a channel in bytes: NAMEDATALEN - 1 of a standard build. LISTEN cuts a longer one
// silently and pg_notify refuses it, so nothing would ever arrive.
const maxName = 63

// Subscription is one subscriber's share of a channel. Its channels are made by Subscribe and closed, where they are
// closed at all, under the registry's lock by Close or by the end of Run, whichever comes first.
type Subscription struct {
	registry    *registry
	channel     string
	messages    chan string
	missed      chan struct{}
	established chan struct{}

	// Guarded by registry.mu.
	inForce bool   // established is closed
	closed  bool   // messages is closed
	index   int    // among those of its channel
	dropped uint64 // messages dropped since the buffer last overflowed; 0 while the subscriber keeps up
}

// Subscribe asks for the messages of a channel. It may be called at any time, before and during Run, and returns
// without waiting for LISTEN: that is what Established is for. The name is taken as it is, case included; it must be
// UTF-8 text of 1 to 63 bytes. A database of another encoding may not take it: then the log says so and the
// subscription ends. After Run has ended the error is ErrEnded.
func (l *Listener) Subscribe(channel string) (*Subscription, error) {
	if err := checkName(channel); err != nil {
		return nil, fmt.Errorf("subscribe to channel %q: %w", channel, err)
	}
	s := &Subscription{
		registry:    l.registry,
		channel:     channel,
		messages:    make(chan string, l.options.Buffer),
		missed:      make(chan struct{}, 1),
		established: make(chan struct{}),
	}
	if err := l.registry.add(s); err != nil {
		return nil, err
	}
	return s, nil
}

// checkName refuses what PostgreSQL would cut or refuse, so that one bad name does not spoil the LISTEN of all.
func checkName(channel string) error {
	switch {
	case channel == "":
		return errors.New("the name is empty")
	case len(channel) > maxName:
		return fmt.Errorf("the name has %d bytes; PostgreSQL allows at most %d", len(channel), maxName)
	case !utf8.ValidString(channel) || strings.ContainsRune(channel, 0):
		return errors.New("the name must be UTF-8 text without zero bytes")
	}
	return nil
}

// Messages delivers the payloads, as they were sent. It is closed when the subscription or the listener ends; what the
// buffer holds then can still be read.
func (s *Subscription) Messages() <-chan string { return s.messages }

// Missed receives when messages may have been missed: after each reconnect, once LISTEN is in force again on all
// channels, and whenever this subscription's buffer overflowed. Several occasions that are not yet read count as one.
// It is never closed.
func (s *Subscription) Missed() <-chan struct{} { return s.missed }

// Established is closed when LISTEN is in force for the first time, and also when the subscription or the listener
// ends, so that no wait for it is forever. A NOTIFY that commits after LISTEN is in force is delivered.
func (s *Subscription) Established() <-chan struct{} { return s.established }

// Close ends the subscription at once; the last of a channel takes the LISTEN back. It may be called from any goroutine
// and more than once.
func (s *Subscription) Close() { s.registry.remove(s) }

func (s *Subscription) endLocked() {
	s.closed = true
	close(s.messages)
	s.establishLocked()
}

func (s *Subscription) establishLocked() {
	if !s.inForce {
		s.inForce = true
		close(s.established)
	}
}

func (s *Subscription) missLocked() {
	select {
	case s.missed <- struct{}{}:
	default: // one is waiting to be read
	}
}

// offerLocked puts the payload into the buffer, or drops it and returns false. An episode of drops lasts until the
// subscriber has emptied its buffer, so that one which reads a message now and then does not begin a new episode each
// time.
func (s *Subscription) offerLocked(payload string) bool {
	if s.dropped > 0 && len(s.messages) == 0 {
		s.registry.noteLocked(episode{channel: s.channel, dropped: s.dropped})
		s.dropped = 0
	}
	select {
	case s.messages <- payload:
		return true
	default:
	}
	if s.dropped == 0 {
		s.registry.noteLocked(episode{channel: s.channel, overflowed: true})
	}
	s.dropped++
	s.missLocked()
	return false
}
