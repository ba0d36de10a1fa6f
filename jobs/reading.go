package jobs

import (
	"context"
	"time"
)

const (
	// A page of the log is at first small, and doubles while it stays under half of pageBytes, so that small events are read in
	// few round trips. No page holds more than pageBytes and one event.
	firstPage = 64
	maxPage   = 4096
	pageBytes = 4 << 20

	// Holes are re-read when the doorbell rings, and otherwise at these intervals, doubling while nothing changes. Many holes are
	// re-read less often: each costs the server a look at the index.
	minHoleWait = 2 * time.Millisecond
	maxHoleWait = 250 * time.Millisecond
	perHole     = 10 * time.Microsecond
	maxHoles    = 1000 // in one read

	// How often to look for deliveries that somebody else has set to be retried.
	retryLook = 5 * time.Second
)

// readNew reads the next page above the highest id seen.
func (c *consumer) readNew(ctx context.Context) error {
	var p page
	err := c.persist(ctx, "read events", func(ctx context.Context) (err error) {
		p, err = c.log.after(ctx, c.seen, c.page)
		return err
	})
	if err != nil {
		return err
	}
	for _, r := range p.rows {
		if r.id > c.seen+1 {
			c.holes.add(span{c.seen + 1, r.id})
			c.holeWait, c.holesDue = minHoleWait, time.Now().Add(minHoleWait)
		}
		c.seen = r.id
	}
	c.more = p.cutOff
	c.deliver(p)
	return nil
}

// readHoles looks for rows that have become visible below the highest id seen.
func (c *consumer) readHoles(ctx context.Context) error {
	batch := c.holes.take(maxHoles)
	var p page
	err := c.persist(ctx, "read late events", func(ctx context.Context) (err error) {
		if batch.unlimited() { // otherwise a write of progress has given them a horizon for nothing
			horizon, err := c.log.number(ctx)
			if err != nil {
				return err
			}
			batch.limit(horizon)
		}
		p, err = c.log.in(ctx, batch, c.page)
		return err
	})
	if err != nil {
		c.holes = append(c.holes, batch...)
		return err
	}
	c.holesRead = time.Now()
	found := make([]int64, len(p.rows))
	for i, r := range p.rows {
		found[i] = r.id
	}
	gone := batch.settle(found, p.cutOff, p.xmin)
	c.holes = append(c.holes, batch...)
	for _, s := range gone {
		c.unsaved.done.add(s)
	}
	switch {
	case p.cutOff:
		c.holeWait = 0
	case len(found)+len(gone) > 0:
		c.holeWait = minHoleWait
	default:
		c.holeWait = min(max(minHoleWait, 2*c.holeWait), maxHoleWait)
	}
	c.holesDue = c.holesRead.Add(c.holeWait)
	c.deliver(p)
	return nil
}

// readRetries reads the deliveries that are due again.
func (c *consumer) readRetries(ctx context.Context) error {
	taken := make([]int64, 0, len(c.retrying))
	for id := range c.retrying {
		taken = append(taken, id)
	}
	var due []delivery
	err := c.persist(ctx, "read retries", func(ctx context.Context) error {
		rows, next, never, err := c.dueRetries(ctx, taken, min(c.page, firstPage))
		due = rows
		if never || next > retryLook {
			next = retryLook
		}
		c.retryDue = time.Now().Add(next)
		return err
	})
	if err != nil {
		return err
	}
	for _, d := range due {
		c.retrying[d.event.ID] = struct{}{}
	}
	c.queue.push(due)
	return nil
}

// deliver queues the rows that are the handler's, counts the others as done, and sets the size of the next page.
func (c *consumer) deliver(p page) {
	var deliveries []delivery
	for _, r := range p.rows {
		if r.mine {
			deliveries = append(deliveries, delivery{event: r.event})
		} else {
			c.unsaved.done.add(span{r.id, r.id + 1})
		}
	}
	c.counters.read.Add(int64(len(p.rows)))
	c.queue.push(deliveries)
	switch {
	case p.bytes > pageBytes:
		c.page = max(1, len(p.rows))
	case p.cutOff && p.bytes < pageBytes/2:
		c.page = min(maxPage, 2*c.page)
	}
}
