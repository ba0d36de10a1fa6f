package loop

import (
	"context"
	"sync"
	"time"
)

// Leadership is one leadership as the loops of an engine see it. The context that a loop is given beside it ends when
// what is under way has to stop.
type Leadership struct {
	Term   int64  // the higher one is the newer one
	Holder string // who leads; may be empty

	// Starting is done when nothing new may begin: the leader hands over, or the context of the loops is done.
	Starting context.Context

	stopping <-chan struct{}
	held     func() bool
}

// Lead makes the Leadership of one call of an engine's Run. ctx is the context of the loops, stopping is closed at a
// handover (nil: never), held is asked by Held (nil: always true). The caller calls end when the loops have ended.
func Lead(
	ctx context.Context, term int64, holder string, stopping <-chan struct{}, held func() bool,
) (l *Leadership, end func()) {
	starting, stop := context.WithCancel(ctx)
	l = &Leadership{Term: term, Holder: holder, Starting: starting, stopping: stopping, held: held}
	if IsClosed(stopping) {
		stop()
	}
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-stopping:
			stop()
		case <-starting.Done():
		}
	})
	return l, func() {
		stop()
		watch.Wait()
	}
}

// Every calls do after each pause, until nothing new may begin.
func (l *Leadership) Every(pause time.Duration, do func()) {
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		select {
		case <-l.Starting.Done():
			return
		case <-ticker.C:
			do()
		}
	}
}

// Held is asked right before something begins, which does not begin if it is false. It may be false before Starting is
// done: the leader cannot prove its leadership at this moment.
func (l *Leadership) Held() bool { return l.held == nil || l.held() }

// Stopping says whether nothing new may begin. A handover shows at once, while Starting may end a moment later.
func (l *Leadership) Stopping() bool { return IsClosed(l.stopping) || l.Starting.Err() != nil }
