package eventlog

import (
	"context"
	"time"

	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/cursor"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/queue"
)

// lastSave is how long a last write of progress may take once the leader has to stop at once.
const lastSave = 200 * time.Millisecond

// changed is the queue's channel while the loop is to be woken for results; else nil.
func changed(q *queue.Queue, w *cursor.Writer) <-chan struct{} {
	if !w.WantsResults() {
		return nil
	}
	return q.Changed()
}

// takeResults turns the results that have come in into progress to be written.
func (c *consumer) takeResults() {
	var busy bool
	c.results, busy = c.queue.Take(c.results)
	c.writer.Taken(c.results.Done, busy)
	for _, r := range c.results.Others {
		switch {
		case r.Durable: // its transaction has written all that is to be written
			c.retried(r.Record.ID)
			c.followInTable(r.Record.Key)
		case r.Err != nil:
			c.takeFailure(r)
		default:
			c.writer.Succeeded(r.Record.ID, r.Retry)
			if !r.Retry {
				c.followInTable(r.Record.Key)
			}
		}
	}
	clear(c.results.Others) // let go of their events
}

// takeFailure takes in a failed attempt, and keeps what follows it in its key behind it, or lets that pass.
func (c *consumer) takeFailure(r queue.Result) {
	f := c.verdict(r)
	c.writer.Failed(f)
	if !c.isOrdered() || r.Record.Key == "" {
		return
	}
	if !f.Dead || c.OnDead == OnDeadBlockKey {
		c.keys.Block(r.Record.Key)
	}
	if !c.keys.Blocked(r.Record.Key) {
		c.queue.PushDeliveries(r.Blocked)
		return
	}
	c.offload(r.Blocked)
	if f.Dead {
		c.followInTable(r.Record.Key)
	}
}

// startWrite begins to save the progress so far. The transaction's number will be given out after this moment, so that
// the holes known by now may take it for their horizon; those that a read shows while the write is under way may not.
func (c *consumer) startWrite(ctx context.Context) {
	p := c.writer.Begin(time.Now())
	c.keys.WriteBegins()
	c.frontier.AwaitHorizon()
	go func() {
		var number int64
		err := c.persist(ctx, "write progress", func(ctx context.Context) (err error) {
			number, err = c.cursor.Save(ctx, p)
			return err
		})
		c.wrote <- outcome{err, func() { c.frontier.SetHorizon(number) }}
	}()
}

// written takes in the outcome of a write.
func (c *consumer) written(o outcome) error {
	p := c.writer.End(o.err)
	if o.err != nil {
		return o.err
	}
	o.apply()
	c.due.None = c.due.None && len(p.Failed)+len(p.Moved) == 0
	if c.keys.Written() {
		c.due.QueryBy(time.Time{})
	}
	for _, id := range p.Succeeded {
		c.retried(id)
	}
	for _, f := range p.Failed { // their rows are there now
		if f.Dead {
			c.retried(f.ID)
			continue
		}
		delete(c.due.Retrying, f.ID)
		c.due.QueryBy(time.Now().Add(f.RetryIn))
	}
	for _, m := range p.Moved {
		if m.Due.IsZero() { // its turn may have come meanwhile
			c.keys.Consider(m.Key)
		}
		c.due.QueryBy(m.Due)
	}
	if len(p.Early) > 0 {
		c.due.QueryBy(time.Time{}) // they were in the way
	}
	return nil
}

// retried forgets a delivery that is not attempted any more. The next one of its key may be due.
func (c *consumer) retried(id int64) {
	if key := c.due.Retrying[id]; key != "" {
		c.keys.Consider(key)
		c.due.QueryBy(time.Time{})
	}
	delete(c.due.Retrying, id)
}

// saveLast is the one try that a leader has which must stop at once.
func (c *consumer) saveLast(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastSave)
	defer cancel()
	for c.writer.HasUnsaved() {
		_, err := c.cursor.Save(ctx, c.writer.Begin(time.Now()))
		if c.writer.End(err); err != nil {
			c.logger.Debug("last progress not written, its events are delivered again", "error", err)
			return
		}
	}
}
