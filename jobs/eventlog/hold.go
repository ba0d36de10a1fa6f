package eventlog

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/cursor"
	"github.com/pgsolo/pgsolo/jobs/internal/group"
)

// holdWhileOwned claims the cursor by claim, and waits for it while it is another group's whose leaders have a handler
// of the same name, and one of them leads. The rest runs meanwhile.
//
// The other leader may come and go at any time. So the claim says from which group and term it takes the cursor, under
// the row's lock: where that has changed since it was asked, as when the other group has a leader again, nothing is
// taken, and it is asked again. Of two groups that want it one comes first, and the other finds it taken.
//
// While it waits it only reads: a claim, even one that changes nothing, locks the row that the other leader writes its
// progress to, and waits for that one's transactions.
func (h *logHandler) holdWhileOwned(ctx context.Context, claim func() (owned *cursor.OwnedError, err error)) error {
	var waits group.Wait
	for {
		owned, err := claim()
		if owned == nil || err != nil {
			h.letGo()
			return err
		}
		h.consumer.cursor.From = cursor.Owner{}
		for o := owned.Owner; o.Group != "" && o.Group != h.group; {
			if !o.Declared || waits.IsGone(group.Owner{Lives: o.Lives, Left: o.Left}, time.Now()) {
				h.logger.Info("takes the position of a handler that another election had", "election", o.Group)
				h.consumer.cursor.From = o
				break
			}
			h.hold(o.Group, o.Lives)
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(group.PollHeld):
			}
			if o, err = h.owner(ctx); err != nil {
				return err
			}
		}
	}
}

// owner asks whose the cursor is.
func (h *logHandler) owner(ctx context.Context) (o cursor.Owner, err error) {
	err = h.persist(ctx, "ask whose the cursor is", func(ctx context.Context) (err error) {
		o, err = h.consumer.cursor.Owner(ctx)
		return err
	})
	return o, err
}

// hold shows that the handler waits for another group. It is a person's matter only while that is led: one that was
// renamed, or whose leader was killed, has some seconds to be led again.
func (h *logHandler) hold(other string, led bool) {
	h.seenTo.Store(math.MaxInt64) // no poll has anything for it
	h.settle(nil)
	if before := h.heldBy.Swap(&other); before == nil || *before != other {
		h.heldLogged = time.Time{}
	}
	if led && time.Since(h.heldLogged) >= time.Hour {
		h.heldLogged = time.Now()
		h.logger.Warn("held back: another election has a handler of this name, and is led", "election", other,
			"remedy", group.HeldRemedy)
	}
}

// letGo ends that.
func (h *logHandler) letGo() {
	h.seenTo.CompareAndSwap(math.MaxInt64, 0)
	h.heldBy.Store(nil)
}

// isTaken says whether a consumer has ended because another group has taken its cursor, rather than a newer leader.
func (h *logHandler) isTaken(ctx context.Context, ended error) bool {
	if !errors.Is(ended, jobs.ErrFenced) || ctx.Err() != nil {
		return false
	}
	owner, err := h.owner(ctx)
	if err != nil || owner.Group == "" || owner.Group == h.group {
		return false
	}
	h.logger.Warn(fmt.Sprintf("election %q has taken the position of this handler", owner.Group))
	return true
}
