package loop

import (
	"context"
	"sync"
)

// Signal puts a token into a channel of capacity 1, unless one is there.
func Signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// IsClosed says whether a channel on which nothing is ever sent is closed. A nil channel is not.
func IsClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Once is something that happens once. Any goroutine may wait for it, and any may make it happen, again and again.
type Once struct {
	once sync.Once
	done chan struct{}
}

// NewOnce returns one that has not happened.
func NewOnce() *Once { return &Once{done: make(chan struct{})} }

// Happen makes it happen.
func (o *Once) Happen() { o.once.Do(func() { close(o.done) }) }

// Done is closed when it has happened.
func (o *Once) Done() <-chan struct{} { return o.done }

// Await waits for that. It returns false when ctx ends before.
func (o *Once) Await(ctx context.Context) bool {
	select {
	case <-o.done:
		return true
	case <-ctx.Done():
		return false
	}
}
