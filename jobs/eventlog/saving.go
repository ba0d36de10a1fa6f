package eventlog

import (
	"context"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/queue"
	"github.com/pgsolo/pgsolo/jobs/internal/idset"
	"github.com/pgsolo/pgsolo/jobs/internal/text"
)

const (
	// While deliveries wait, results are gathered for so long before they are written. As soon as nothing waits, they are written at
	// once.
	gather = 5 * time.Millisecond

	// How often progress over events of other topics, which nobody waits for, is written.
	idleSave = time.Second

	// How long a last write of progress may take once the leader has to stop at once.
	lastSave = 200 * time.Millisecond
)

// saving is the part of the consumer's state that is about progress. An event is in unsaved.done only after its result is there,
// and forgotten only after a write that has it was committed.
type saving struct {
	unsaved   progress
	results   bool          // unsaved has some, and not only ids of other topics
	busy      bool          // deliveries waited when the latest results were taken
	writing   *progress     // under way; nil: none
	wrote     chan outcome  // capacity 1, so that the sender never waits
	writeTime time.Time     // when the latest write began
	taken     queue.Results // memory to be used again
}

// changed is the queue's channel while the loop wants to hear of results: it does not while it knows of some that it has yet to
// write, or the workers would wake it for each event.
func (c *consumer) changed() <-chan struct{} {
	if c.writing != nil || c.results {
		return nil
	}
	return c.queue.Changed
}

// writeDue is when the unsaved progress is to be written.
func (c *consumer) writeDue() time.Time {
	switch {
	case c.results && !c.busy:
		return time.Time{}
	case c.results:
		return c.writeTime.Add(gather)
	default:
		return c.writeTime.Add(idleSave)
	}
}

// settle turns the results that have come in into progress to be written.
func (c *consumer) settle() {
	c.taken, c.busy = c.queue.Take(c.taken)
	if c.taken.Count == 0 {
		return
	}
	c.results = c.results || len(c.taken.Done) > 0
	for _, s := range c.taken.Done {
		c.unsaved.done.Add(s)
	}
	for _, r := range c.taken.Others {
		id := r.Record.ID
		if r.Durable { // its transaction has written all that is to be written
			c.finished(id)
			c.passOn(r.Record.Key)
			continue
		}
		c.results = true
		if !r.Retry {
			c.unsaved.done.Add(idset.One(id))
		}
		switch {
		case r.Err != nil:
			c.fail(r)
		case r.Retry:
			c.unsaved.succeeded = append(c.unsaved.succeeded, id)
		default:
			c.passOn(r.Record.Key)
		}
	}
}

// fail decides what becomes of a failed attempt. The log gets a line when failures begin, not one for each.
func (c *consumer) fail(r queue.Result) {
	f := failure{id: r.Record.ID, attempt: r.Attempt, message: text.Error(r.Err)}
	if f.retryIn, f.dead = c.Retry.Next(r.Attempt, r.Err); f.dead {
		c.counters.dead.Add(1)
		c.episodes.dead.Log(c.logger, hclog.Error, "event is a dead letter", "event_id", f.id, "attempts", f.attempt, "error", f.message)
	} else {
		c.episodes.failed.Log(c.logger, hclog.Warn, "handler fails", "event_id", f.id, "attempt", f.attempt, "retry_in", f.retryIn, "error", f.message)
	}
	c.unsaved.failed = append(c.unsaved.failed, f)
	if !r.Retry {
		c.unsaved.copied += len(r.Record.Payload)
	}
	c.afterFailure(r, f.dead)
}

// startWrite begins to save the progress so far, and gathers anew. The transaction's number will be given out after this moment, so
// that the holes known by now may take it for their horizon; those that a read shows while the write is under way may not.
func (c *consumer) startWrite(ctx context.Context) {
	p := c.unsaved
	c.writing, c.unsaved, c.results, c.writeTime = &p, progress{}, false, time.Now()
	c.keys.begun++
	c.holes.Await()
	go func() {
		var number int64
		err := c.persist(ctx, "write progress", func(ctx context.Context) (err error) {
			number, err = c.save(ctx, &p)
			return err
		})
		c.wrote <- outcome{err, func() { c.holes.LimitAwaiting(number) }}
	}()
}

// written takes in the outcome of a write. What may not have been written is unsaved again.
func (c *consumer) written(o outcome) error {
	p := c.writing
	c.writing = nil
	if o.err != nil {
		p.add(&c.unsaved)
		c.unsaved = *p
		return o.err
	}
	o.apply()
	c.none = c.none && len(p.failed)+len(p.moved) == 0
	if c.keys.written() {
		c.lookBy(time.Time{})
	}
	for _, id := range p.succeeded {
		c.finished(id)
	}
	for _, f := range p.failed { // their rows are there now
		if f.dead {
			c.finished(f.id)
			continue
		}
		delete(c.retrying, f.id)
		c.lookBy(time.Now().Add(f.retryIn))
	}
	for _, m := range p.moved {
		if m.due.IsZero() { // its turn may have come meanwhile
			c.keys.consider(m.key)
		}
		c.lookBy(m.due)
	}
	if len(p.early) > 0 {
		c.lookBy(time.Time{}) // they were in the way
	}
	return nil
}

// finished forgets a delivery that is not attempted any more. The next one of its key may be due.
func (c *consumer) finished(id int64) {
	if key := c.retrying[id]; key != "" {
		c.keys.consider(key)
		c.lookBy(time.Time{})
	}
	delete(c.retrying, id)
}

// passOn looks for the next one of a key after an event that has no row, if others of the key have: they were spilled.
func (c *consumer) passOn(key string) {
	if c.Order == OrderKey && key != "" && c.keys.isBlocked(key) {
		c.keys.consider(key)
		c.lookBy(time.Time{})
	}
}

// lookBy makes the consumer look for due deliveries at that time, or before.
func (c *consumer) lookBy(due time.Time) {
	if due.Before(c.retryDue) {
		c.retryDue = due
	}
}

// saveLast is the one try that a leader has which must stop at once.
func (c *consumer) saveLast(ctx context.Context) {
	if c.unsaved.empty() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastSave)
	defer cancel()
	if _, err := c.save(ctx, &c.unsaved); err != nil {
		c.logger.Debug("last progress not written, its events are delivered again", "error", err)
	}
}
