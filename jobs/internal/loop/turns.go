package loop

import (
	"context"
	"time"
)

// Turns lets many steps at the database run one after the other, so that each finds the session that the one before has
// opened and made plans in. A step that takes longer than its turn, as one that waits for a lock, goes on beside the
// next ones. It may be used by any goroutine.
type Turns struct{ taken chan struct{} }

// NewTurns returns them with none taken.
func NewTurns() Turns { return Turns{make(chan struct{}, 1)} }

// Take waits for a turn of this length, until ctx is done. The caller calls end when the step has ended.
func (t Turns) Take(ctx context.Context, length time.Duration) (end func(), err error) {
	select {
	case t.taken <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	over := time.AfterFunc(length, func() { <-t.taken })
	return func() {
		if over.Stop() {
			<-t.taken
		}
	}, nil
}
