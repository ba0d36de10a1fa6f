package jobs

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

const (
	// How often progress over events of other topics, which nobody waits for, is written.
	idleSave = time.Second

	// How long a last write of progress may take once the leader has to stop at once.
	lastSave = 200 * time.Millisecond
)

// consumer brings the events of one topic to one handler.
type consumer struct {
	Handler
	log      *eventLog
	logger   hclog.Logger
	queue    *queue
	wake     chan struct{} // capacity 1: there may be something to read
	counters handlerCounters
	episodes episodes
	pulse    pulse
	held     func() bool // asked before each attempt
	state
}

// state is what the consumer knows in one term. Only its run touches it; the workers see just the queue and the counters.
type state struct {
	page      int // the limit of the next read
	more      bool
	seen      int64 // the highest id read
	holes     holes
	holeWait  time.Duration
	holesDue  time.Time
	holesRead time.Time
	retrying  map[int64]struct{} // deliveries that are in the queue
	retryDue  time.Time
	unsaved   progress
	savedLast time.Time
}

func newConsumer(h Handler, log *eventLog, logger hclog.Logger) *consumer {
	return &consumer{Handler: h, log: log, logger: logger, wake: make(chan struct{}, 1)}
}

// begin sets the consumer up for a leader's term.
func (c *consumer) begin(lead Lead) {
	c.log.term, c.held = lead.Term, lead.Held
	c.queue = newQueue()
	c.state = state{
		page: firstPage, more: true, holeWait: minHoleWait, retrying: map[int64]struct{}{}, retryDue: time.Now(),
	}
}

// ring makes the consumer read again, soon.
func (c *consumer) ring() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// run consumes until stop is closed (then it waits for the attempts under way and writes their outcome), until ctx is done
// (then it cancels them first), or until it can no longer write its progress.
func (c *consumer) run(ctx context.Context, stop <-chan struct{}) error {
	defer c.pulse.end()
	done, err := c.claim(ctx)
	if err != nil {
		return err
	}
	c.seen = done.highest()
	for _, gap := range done.gaps() {
		c.holes.add(gap) // of unfinished events, of late ones, and of ids never used: the first re-read tells
	}

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var workers, closing sync.WaitGroup
	for range c.Concurrency {
		workers.Go(func() { c.work(ctx, &workers) })
	}
	closing.Go(func() { // at once, whatever the loop is at
		select {
		case <-stop:
		case <-ctx.Done():
		}
		c.queue.close()
	})
	if err = c.consume(ctx, stop); err != nil {
		cancel(err)
	}
	err = errors.Join(err, c.finish(ctx, &workers, cancel))
	cancel(nil)
	closing.Wait()
	return err
}

// finish waits for the workers and writes what they achieve meanwhile. It always waits, since nobody else would.
func (c *consumer) finish(ctx context.Context, workers *sync.WaitGroup, cancel context.CancelCauseFunc) error {
	c.pulse.end() // from here on the drain is what bounds it
	c.queue.close()
	idle := make(chan struct{})
	go func() {
		workers.Wait()
		close(idle)
	}()
	for {
		select {
		case <-c.queue.changed:
			if ctx.Err() == nil {
				c.settle()
				if err := c.write(ctx); err != nil && ctx.Err() == nil {
					cancel(err)
					<-idle
					return err
				}
			}
		case <-idle:
			c.settle()
			if ctx.Err() == nil {
				return c.write(ctx)
			}
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastSave)
			defer cancel()
			if _, err := c.save(last, &c.unsaved); err != nil {
				c.logger.Debug("last progress not written, its events are delivered again", "error", err)
			}
			return nil
		}
	}
}

// consume is the loop: take results, write progress, read more, wait.
func (c *consumer) consume(ctx context.Context, stop <-chan struct{}) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for !isClosed(stop) {
		c.pulse.beat()
		if err := c.step(ctx); err != nil {
			if ctx.Err() != nil && !errors.Is(err, ErrFenced) {
				return nil // stopped, not broken
			}
			return err
		}
		if wait, ok := c.nextTimer(); ok {
			timer.Reset(wait)
		} else {
			timer.Stop()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-stop:
			return nil
		case <-c.queue.changed:
		case <-c.wake:
			c.more = true
			c.holesDue = c.holesRead.Add(time.Duration(min(len(c.holes), maxHoles)) * perHole)
		case <-timer.C:
		}
	}
	return nil
}

// nextTimer says how long the loop may wait for the sake of its own dates.
func (c *consumer) nextTimer() (time.Duration, bool) {
	var due time.Time
	sooner := func(t time.Time) {
		if due.IsZero() || t.Before(due) {
			due = t
		}
	}
	if !c.unsaved.empty() {
		sooner(c.savedLast.Add(idleSave))
	}
	if c.hasRoom() { // otherwise results come in first
		if c.more {
			sooner(time.Now())
		}
		if len(c.holes) > 0 {
			sooner(c.holesDue)
		}
		sooner(c.retryDue)
	}
	return time.Until(due), !due.IsZero()
}

// hasRoom is false while the workers have enough to do.
func (c *consumer) hasRoom() bool {
	return c.queue.length() <= c.page/2
}

// step does whatever there is to do now.
func (c *consumer) step(ctx context.Context) error {
	results := c.settle()
	if results > 0 || !c.unsaved.empty() && time.Since(c.savedLast) >= idleSave {
		if err := c.write(ctx); err != nil {
			return err
		}
	}
	if !c.hasRoom() {
		return nil
	}
	if c.more {
		if err := c.readNew(ctx); err != nil {
			return err
		}
	}
	if len(c.holes) > 0 && !time.Now().Before(c.holesDue) {
		if err := c.readHoles(ctx); err != nil {
			return err
		}
	}
	if !time.Now().Before(c.retryDue) {
		return c.readRetries(ctx)
	}
	return nil
}

// settle turns the results that have come in into progress to be written, and returns how many there were.
func (c *consumer) settle() int {
	results := c.queue.take()
	for _, r := range results {
		id := r.event.ID
		delete(c.retrying, id)
		if !r.retry {
			c.unsaved.done.add(span{id, id + 1})
		}
		if r.err != nil {
			c.fail(r)
		} else if r.retry {
			c.unsaved.succeeded = append(c.unsaved.succeeded, id)
		}
	}
	return len(results)
}

// fail decides what becomes of a failed attempt. The log gets a line when failures begin, not one for each.
func (c *consumer) fail(r result) {
	f := failure{id: r.event.ID, attempt: r.event.Attempt, message: errorText(r.err)}
	if f.attempt >= c.Retry.Attempts {
		f.dead = true
		c.counters.dead.Add(1)
		c.episodes.dead.log(c.logger, hclog.Error, "event is a dead letter", "event_id", f.id, "attempts", f.attempt, "error", f.message)
	} else {
		f.retryIn = c.Retry.delay(f.attempt)
		if due := time.Now().Add(f.retryIn); due.Before(c.retryDue) {
			c.retryDue = due
		}
		c.episodes.failed.log(c.logger, hclog.Warn, "handler fails", "event_id", f.id, "attempt", f.attempt, "retry_in", f.retryIn, "error", f.message)
	}
	c.unsaved.failed = append(c.unsaved.failed, f)
}

// write saves the progress so far and starts anew.
func (c *consumer) write(ctx context.Context) error {
	if c.unsaved.empty() {
		return nil
	}
	var number int64
	err := c.persist(ctx, "write progress", func(ctx context.Context) (err error) {
		number, err = c.save(ctx, &c.unsaved)
		return err
	})
	if err != nil {
		return err
	}
	c.holes.limit(number)
	c.unsaved = progress{done: c.unsaved.done[:0]}
	c.savedLast = time.Now()
	return nil
}
