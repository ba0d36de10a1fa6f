package eventlog

import (
	"context"
	"slices"
	"time"

	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/cursor"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/due"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/keys"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/queue"
	"github.com/pgsolo/pgsolo/jobs/internal/logread"
)

// startRead begins a read beside the loop, which applies its outcome.
func (c *consumer) startRead(ctx context.Context, what string, read func(context.Context) error, apply func()) {
	c.reading = true
	go func() {
		err := c.persist(ctx, what, read)
		c.read <- outcome{err, apply}
	}()
}

// startNew reads the next page above the highest id seen.
func (c *consumer) startNew(ctx context.Context) {
	id, rings := c.frontier.After()
	var p logread.Page
	c.startRead(ctx, "read events", func(ctx context.Context) (err error) {
		p, err = c.log.After(ctx, id, rings)
		return err
	}, func() {
		if arrived := c.frontier.Arrived(&p, time.Now()); arrived != nil {
			c.deliver(arrived)
		}
	})
}

// startHoles reads rows that have become visible below the highest id seen.
func (c *consumer) startHoles(ctx context.Context) {
	holes := c.frontier.TakeHoles()
	var p *logread.Page
	c.startRead(ctx, "read late events", func(ctx context.Context) (err error) {
		p, err = c.log.InHoles(ctx, holes)
		return err
	}, func() {
		gone, held := c.frontier.Reread(p, holes, time.Now())
		c.writer.Gone(gone)
		c.deliver(p)
		if held != nil {
			c.deliver(held)
		}
	})
}

// deliver queues the records, gives the events that are not due yet rows of their own, and counts the rows of other
// topics as done.
func (c *consumer) deliver(p *logread.Page) {
	c.writer.Gone(p.Foreign)
	c.counters.Read.Add(int64(p.Rows))
	for i := range p.Later {
		c.writer.Move(cursor.Moved{Record: &p.Later[i].Record, Due: p.Later[i].Due})
	}
	if c.isOrdered() {
		c.pushInOrder(p.Records)
	} else {
		c.queue.Push(p.Records)
	}
}

// startDueQuery reads the deliveries that are due. What a write sets to be retried meanwhile it may miss, so the
// earlier one of the dates that the two name decides when to query next.
func (c *consumer) startDueQuery(ctx context.Context) {
	c.frontier.OtherRead()
	now := time.Now()
	q, first := c.due.Begin(now, c.keys.Mark(), c.isOrdered(), func() []string { return c.queue.Keys(c.keys.Blocked) })
	if q.Ordered {
		q.DeadBlocks = c.OnDead == OnDeadBlockKey
		q.Candidates, q.Scan, q.ScannedTo = c.keys.Ask(now, cursor.DueEvery)
	}
	free := first && !q.Ordered
	var batch cursor.DueBatch
	c.startRead(ctx, "read due deliveries", func(ctx context.Context) (err error) {
		if free {
			err = c.cursor.FreeWaiting(ctx)
		}
		if err == nil {
			batch, err = c.cursor.Due(ctx, &q.DueQuery)
		}
		return err
	}, func() { c.applyDue(&q, &batch) })
}

// applyDue takes in what a query has brought, but for what it may be wrong about.
func (c *consumer) applyDue(q *due.Query, b *cursor.DueBatch) {
	var deliveries []queue.Delivery
	for _, d := range b.Due {
		// A row that the write under way has made is there before the loop knows. Its end is a reason to query again.
		if !c.writer.Writing.HasFailed(d.Record.ID) && !c.keys.Stale(d.Record.Key, q.Began) {
			c.due.Retrying[d.Record.ID] = ""
			if c.isOrdered() {
				c.due.Retrying[d.Record.ID] = d.Record.Key
			}
			deliveries = append(deliveries, queue.Delivery{Record: d.Record, Attempt: d.Attempt, Retry: true})
		}
	}
	c.queue.PushDeliveries(deliveries)
	for _, key := range b.Free {
		if !c.keys.Stale(key, q.Began) {
			c.keys.Unblock(key)
		}
	}
	c.due.None = b.None && q.Began.Writes == c.keys.Mark().Writes
	c.due.QueryBy(time.Now().Add(b.Next))
	if b.CutOff { // the same again, without what is now taken; where nothing is, after the next write
		for _, key := range q.Candidates {
			c.keys.Consider(key)
		}
		if len(deliveries) > 0 || !c.keys.Rechecks() {
			c.due.QueryBy(time.Time{})
		}
		return
	}
	early := slices.DeleteFunc(b.Early, func(e cursor.Early) bool { return c.keys.Stale(e.Key, q.Began) })
	for _, e := range early { // only now: of one key there may be several
		c.keys.Block(e.Key)
		c.writer.Early(e.ID)
	}
	if c.keys.Scanned(q.Began, q.Scan, b.ScannedTo) && c.isOrdered() {
		c.due.QueryBy(time.Time{})
	}
}

// startRecount reads the blocked keys again, where they were too many.
func (c *consumer) startRecount(ctx context.Context) {
	c.frontier.OtherRead()
	c.keys.BeginRecount()
	var blocked []string
	c.startRead(ctx, "read blocked keys", func(ctx context.Context) (err error) {
		blocked, err = c.cursor.BlockedKeys(ctx, c.OnDead == OnDeadBlockKey, keys.MaxBlocked+1)
		return err
	}, func() { c.keys.Load(blocked) })
}
