package jobs

import (
	"context"
	"time"
)

const (
	// Holes are re-read when the doorbell rings, and otherwise at these intervals, doubling while nothing changes. Many holes are
	// re-read less often: each costs the server a look at the index.
	minHoleWait = 2 * time.Millisecond
	maxHoleWait = 250 * time.Millisecond
	perHole     = 10 * time.Microsecond
	maxHoles    = 1000 // in one read

	// How often to look for deliveries that somebody else has set to be retried.
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
	var p page
	c.start(ctx, "read events", func(ctx context.Context) (err error) {
		p, err = c.log.after(ctx, seen, rung)
		return err
	}, func() { c.arrived(&p) })
}

func (c *consumer) arrived(p *page) {
	for _, s := range p.present {
		if s.lo > c.seen+1 {
			c.holes.add(span{c.seen + 1, s.lo})
			c.holeWait, c.holesDue = minHoleWait, time.Now().Add(minHoleWait)
		}
		c.seen = s.hi - 1
	}
	c.more = p.cutOff || p.rung < c.rung // a page from before the ring does not tell what rang
	c.deliver(p)
}

// startHoles looks for rows that have become visible below the highest id seen. Meanwhile the holes that it looks at are its own.
func (c *consumer) startHoles(ctx context.Context) {
	c.lastNew = false
	batch := c.holes.take(maxHoles)
	limit := c.log.pageLimit()
	var p *page
	c.start(ctx, "read late events", func(ctx context.Context) error {
		if batch.unlimited() { // otherwise a write of progress has given them a horizon for nothing
			horizon, err := c.log.number(ctx)
			if err != nil {
				return err
			}
			batch.limit(horizon)
		}
		var err error
		p, err = c.log.in(ctx, batch, limit)
		return err
	}, func() { c.late(p, batch) })
}

func (c *consumer) late(p *page, batch holes) {
	c.holesRead = time.Now()
	gone := batch.settle(p.present.ids(), p.cutOff, p.xmin)
	c.holes = append(c.holes, batch...)
	for _, s := range gone {
		c.unsaved.done.add(s)
	}
	switch {
	case p.cutOff:
		c.holeWait = 0
	case p.rows+len(gone) > 0:
		c.holeWait = minHoleWait
	default:
		c.holeWait = min(max(minHoleWait, 2*c.holeWait), maxHoleWait)
	}
	c.holesDue = c.holesRead.Add(c.holeWait)
	c.deliver(p)
}

// startRetries reads the deliveries that are due again. What a write sets to be retried meanwhile it may miss, so whichever of the two
// names the earlier date decides when to look next.
func (c *consumer) startRetries(ctx context.Context) {
	c.lastNew = false
	c.retryDue = time.Now().Add(retryLook)
	taken := make([]int64, 0, len(c.retrying))
	for id := range c.retrying {
		taken = append(taken, id)
	}
	var (
		due  []delivery
		next time.Duration
	)
	c.start(ctx, "read retries", func(ctx context.Context) (err error) {
		due, next, err = c.dueRetries(ctx, taken)
		return err
	}, func() {
		for _, d := range due {
			c.retrying[d.record.id] = struct{}{}
		}
		if again := time.Now().Add(next); again.Before(c.retryDue) {
			c.retryDue = again
		}
		c.queue.pushRetries(due)
	})
}

// deliver queues the records, and counts the rows of other topics as done.
func (c *consumer) deliver(p *page) {
	for _, s := range p.foreign {
		c.unsaved.done.add(s)
	}
	c.counters.read.Add(int64(p.rows))
	c.queue.push(p.records)
}
