package eventlog

import (
	"context"
	"time"

	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/queue"
	"github.com/pgsolo/pgsolo/jobs/internal/idset"
	"github.com/pgsolo/pgsolo/jobs/internal/logread"
)

const (
	// Holes are re-read when the doorbell rings, and otherwise at these intervals, doubling while nothing changes. Many holes are
	// re-read less often: each costs the server a look at the index.
	minHoleWait = 2 * time.Millisecond
	maxHoleWait = 250 * time.Millisecond
	perHole     = 10 * time.Microsecond
	maxHoles    = 1000 // in one read, without order

	// How often to look for deliveries that somebody else has changed.
	retryLook = 5 * time.Second
	retryPage = 64
)

// start begins a read beside the loop, which applies its outcome.
func (c *consumer) start(ctx context.Context, what string, read func(context.Context) error, apply func()) {
	c.reading = true
	go func() {
		err := c.persist(ctx, what, read)
		c.read <- outcome{err, apply}
	}()
}

// startNew reads the next page above the highest id seen.
func (c *consumer) startNew(ctx context.Context) {
	c.lastNew = true
	seen, rung := c.seen, c.rung
	var p logread.Page
	c.start(ctx, "read events", func(ctx context.Context) (err error) {
		p, err = c.log.After(ctx, seen, rung)
		return err
	}, func() {
		// With order, what was committed below the page before an event of it began to be written comes first: whatever has become
		// visible there by a snapshot that is no older than the page's. Holes that the page itself shows hold nothing of that kind.
		if c.Order == OrderKey && len(c.holes) > 0 && len(p.Records) > 0 {
			c.above = &p
		} else {
			c.arrived(&p)
		}
	})
}

func (c *consumer) arrived(p *logread.Page) {
	for _, s := range p.Present {
		if s.Lo > c.seen+1 {
			c.holes.Add(idset.Span{Lo: c.seen + 1, Hi: s.Lo})
			c.holeWait, c.holesDue = minHoleWait, time.Now().Add(minHoleWait)
		}
		c.seen = s.Hi - 1
	}
	c.more = p.CutOff || p.Rung < c.rung // a page from before the ring does not tell what rang
	c.deliver(p)
}

// startHoles looks for rows that have become visible below the highest id seen. Meanwhile the holes that it looks at are its own.
func (c *consumer) startHoles(ctx context.Context) {
	c.lastNew = false
	batch := c.holes.Take(c.holesAtOnce())
	limit := c.log.PageLimit()
	var p *logread.Page
	c.start(ctx, "read late events", func(ctx context.Context) error {
		if batch.Unlimited() { // otherwise a write of progress has given them a horizon for nothing
			horizon, err := c.log.Number(ctx)
			if err != nil {
				return err
			}
			batch.Limit(horizon)
		}
		var err error
		if p, err = c.log.In(ctx, batch, limit); err == nil && p.CutOff {
			c.log.Learn(p)
		}
		return err
	}, func() { c.late(p, batch) })
}

// holesAtOnce is how many holes the next read looks at. With order they are all, since what a hole holds comes before what any higher
// one does.
func (c *consumer) holesAtOnce() int {
	if c.Order == OrderKey {
		return len(c.holes)
	}
	return min(len(c.holes), maxHoles)
}

func (c *consumer) late(p *logread.Page, batch idset.Holes) {
	c.holesRead = time.Now()
	gone := batch.Settle(p.Present.IDs(), p.CutOff, p.Xmin)
	c.holes = append(c.holes, batch...)
	for _, s := range gone {
		c.unsaved.done.Add(s)
	}
	switch {
	case p.CutOff:
		c.holeWait = 0
	case p.Rows+len(gone) > 0:
		c.holeWait = minHoleWait
	default:
		c.holeWait = min(max(minHoleWait, 2*c.holeWait), maxHoleWait)
	}
	c.holesDue = c.holesRead.Add(c.holeWait)
	c.deliver(p)
	if p.CutOff {
		return
	}
	c.gapsRead = true
	if above := c.above; above != nil {
		c.above = nil
		c.arrived(above)
	}
}

// startLook reads the deliveries that are due. What a write sets to be retried meanwhile it may miss, so whichever of the two names
// the earlier date decides when to look next.
func (c *consumer) startLook(ctx context.Context) {
	c.lastNew = false
	now := time.Now()
	c.retryDue = now.Add(retryLook)
	l := c.nextLook(now)
	var f found
	first := c.looks == 0
	c.looks++
	c.start(ctx, "read due deliveries", func(ctx context.Context) (err error) {
		if first && c.Order != OrderKey {
			err = c.freeWaiting(ctx)
		}
		if err == nil {
			f, err = c.lookForDue(ctx, l)
		}
		return err
	}, func() { c.looked(l, &f) })
}

// hasNone says that the handler has no deliveries, so that nobody else can have changed one: as of the latest look, and this term has
// written none since.
func (c *consumer) hasNone() bool {
	return c.none && !c.keys.all && len(c.keys.blocked)+len(c.keys.candidates) == 0
}

// nextLook says what to look for.
func (c *consumer) nextLook(now time.Time) look {
	l := look{taken: make([]int64, 0, len(c.retrying)), walks: c.keys.walks, ended: c.keys.ended}
	for id := range c.retrying {
		l.taken = append(l.taken, id)
	}
	if c.Order != OrderKey {
		return l
	}
	l.takenKeys = c.queue.InHand(c.keys.isBlocked)
	for _, key := range c.retrying {
		if key != "" {
			l.takenKeys = append(l.takenKeys, key)
		}
	}
	l.candidates = c.keys.nextCandidates()
	if c.keys.walking || !now.Before(c.keys.walkDue) {
		l.walk, l.walked = maxCandidates, c.keys.walked
		c.keys.walkDue = now.Add(retryLook)
	}
	return l
}

// looked takes in what a look has found, but for what it may be wrong about.
func (c *consumer) looked(l look, f *found) {
	var due []queue.Delivery
	for _, d := range f.due {
		// A row that the write under way has made is there before the loop knows. Its end is a reason to look again.
		if !c.writing.hasFailed(d.Record.ID) && !c.keys.stale(d.Record.Key, l.ended) {
			c.retrying[d.Record.ID] = ""
			if c.Order == OrderKey {
				c.retrying[d.Record.ID] = d.Record.Key
			}
			due = append(due, d)
		}
	}
	c.queue.PushDeliveries(due)
	for _, key := range f.free {
		if !c.keys.stale(key, l.ended) {
			delete(c.keys.blocked, key)
		}
	}
	c.none = f.none && l.ended == c.keys.ended
	c.lookBy(time.Now().Add(f.next))
	if f.cutOff { // the same again, without what is now in hand; where nothing is, after the next write
		for _, key := range l.candidates {
			c.keys.consider(key)
		}
		if len(due) > 0 || len(c.keys.unsure) == 0 {
			c.lookBy(time.Time{})
		}
		return
	}
	c.tooEarly(l, f.early)
	if l.walk > 0 && l.walks == c.keys.walks {
		c.keys.walked = f.walk
		c.keys.walking = c.keys.walking && f.walk != ""
	}
	if c.Order == OrderKey && (c.keys.walking || len(c.keys.candidates) > 0) {
		c.lookBy(time.Time{})
	}
}

// deliver queues the records, gives the events that are not due yet rows of their own, and counts the rows of other topics as done.
func (c *consumer) deliver(p *logread.Page) {
	for _, s := range p.Foreign {
		c.unsaved.done.Add(s)
	}
	c.counters.read.Add(int64(p.Rows))
	for _, l := range p.Later {
		c.unsaved.moved = append(c.unsaved.moved, moved{id: l.ID, due: l.Due})
		c.unsaved.done.Add(idset.One(l.ID))
		c.unsaved.copied += l.Size
		c.results = true
	}
	if c.Order == OrderKey {
		c.pushInOrder(p.Records)
	} else {
		c.queue.Push(p.Records)
	}
}
