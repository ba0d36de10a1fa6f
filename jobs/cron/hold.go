package cron

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/jobs/cron/internal/rows"
	"github.com/pgsolo/pgsolo/jobs/internal/group"
)

// holding is whose a job is, where it is another group's: then it is neither started by its schedule nor by hand.
type holding struct {
	heldBy     string // empty: the job is this group's
	waits      group.Wait
	heldLogged time.Time
}

// hold begins it, or goes on with it. It is a person's matter only while the other group is led: one that was renamed,
// or whose leader was killed, has some seconds to be led again.
func (h *holding) hold(o rows.HeldOwner, logger hclog.Logger) {
	if h.heldBy != o.Group {
		h.heldBy, h.heldLogged = o.Group, time.Time{}
	}
	if o.Lives && time.Since(h.heldLogged) >= time.Hour {
		h.heldLogged = time.Now()
		logger.Warn("held back: another election has a cron job of this name, and is led", "election", o.Group,
			"remedy", group.HeldRemedy)
	}
}

// isHeld says whether a job is another group's.
func isHeld(j *jobTerm) bool { return j.heldBy != "" }

// untilHeldPoll returns how long until it is to be asked whether jobs are still held.
func (t *term) untilHeldPoll() time.Duration {
	if len(t.held) == 0 {
		return clockCheck
	}
	return max(0, group.PollHeld-time.Since(t.heldPolled))
}

// claimHeld asks whose the held jobs are, if it is time to, and goes on with what the other groups have let go. Only
// for that it makes a claim, which writes and is one of all jobs.
func (t *term) claimHeld(ctx context.Context) error {
	if len(t.held) == 0 || t.untilHeldPoll() > 0 {
		return nil
	}
	owners, err := ownersOf(ctx, t, t.held)
	if err != nil {
		return err
	}
	t.heldPolled = time.Now()
	gone := map[string]string{} // whose the jobs were that are taken
	for _, j := range t.held {
		if owner, held := owners[j.Name]; !held || j.waits.IsGone(owner.Owner, time.Now()) {
			gone[j.Name] = owner.Group
		} else {
			j.hold(owner, j.logger)
			j.show()
		}
	}
	if len(gone) == 0 {
		return nil
	}
	return t.takeHeld(ctx, func(job string, owner rows.HeldOwner) bool { return gone[job] == owner.Group })
}

// ownersOf asks which of the jobs are another group's.
func ownersOf(ctx context.Context, t *term, list []*jobTerm) (owners map[string]rows.HeldOwner, err error) {
	var names []string
	for _, j := range list {
		names = append(names, j.Name)
	}
	err = persist(ctx, t, "ask whose cron jobs are", func(ctx context.Context) (err error) {
		owners, err = t.store.Owners(ctx, names)
		return err
	})
	return owners, err
}

// takeHeld claims anew, and goes on with the jobs that are not held any more. One that has changed hands since it was
// asked for is.
func (t *term) takeHeld(ctx context.Context, take rows.Take) error {
	found, now, err := t.claimAll(ctx, take)
	if err != nil {
		return err
	}
	free := map[*jobTerm]bool{}
	t.held = slices.DeleteFunc(t.held, func(j *jobTerm) bool {
		if owner, held := found.Held[j.Name]; held {
			j.hold(owner, j.logger)
			j.show()
			return false
		}
		j.logger.Info("takes the place of a job that another election had", "election", j.heldBy)
		j.heldBy, j.waits = "", group.Wait{}
		free[j] = true
		return true
	})
	if len(free) > 0 {
		t.goOn(found, now, func(j *jobTerm) bool { return free[j] })
		t.heap.init(t.jobs)
	}
	return nil
}

var errTaken = errors.New("another election has taken the job")

// giveUpTaken holds the jobs that are not among those of the group any more where another one has taken them, as
// leaders of the version before do at once. What is under way is cancelled; what waits is the other group's. The others
// were deleted by hand, and are written again: nothing changes for them.
func (t *term) giveUpTaken(ctx context.Context, own []string) error {
	isOwn := make(map[string]bool, len(own))
	for _, name := range own {
		isOwn[name] = true
	}
	missing := slices.DeleteFunc(slices.Clone(t.jobs), func(j *jobTerm) bool { return isHeld(j) || isOwn[j.Name] })
	if len(missing) == 0 {
		return nil
	}
	owners, err := ownersOf(ctx, t, missing)
	if err == nil && len(owners) < len(missing) {
		t.logger.Warn("rows of cron_job were deleted by hand, and are written again", "jobs", len(missing)-len(owners))
		_, _, err = t.claimAll(ctx, func(string, rows.HeldOwner) bool { return false })
	}
	for _, j := range missing {
		if _, taken := owners[j.Name]; !taken {
			continue
		}
		j.logger.Warn("the job is not this election's any more: another one has taken it")
		for _, r := range slices.Concat(j.queue, j.retrying) {
			j.outbox.forget(r)
		}
		j.queue, j.retrying = nil, nil
		for _, r := range j.active {
			if r.cancel != nil {
				r.cancel(errTaken)
			}
		}
		j.heldBy, j.waits = "another", group.Wait{}
		t.held = append(t.held, j)
		t.heldPolled = time.Time{} // which tells whose it is
		t.heap.wakeSoon(j)
	}
	return err
}
