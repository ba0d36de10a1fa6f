package trust

import (
	"context"
	"sync"
)

// Nudge ends a wait of another goroutine early, or the next one if there is none: so the window of
// trust has a ping sent.
type Nudge struct {
	mu     sync.Mutex // guards what follows
	cancel context.CancelFunc
	given  bool
}

// Give ends the wait.
func (n *Nudge) Give() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.given = true
	if n.cancel != nil {
		n.cancel()
	}
}

// Wait returns a context that ends with a nudge, or with ctx. The caller calls stop when it waits no more.
func (n *Nudge) Wait(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cancel = cancel
	if n.given {
		cancel()
	}
	return ctx, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.cancel, n.given = nil, false
		cancel()
	}
}
