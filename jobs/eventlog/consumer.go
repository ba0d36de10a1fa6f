package eventlog

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/cursor"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/due"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/keys"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/queue"
	"github.com/pgsolo/pgsolo/jobs/internal/idset"
	"github.com/pgsolo/pgsolo/jobs/internal/logread"
)

// consumer brings the events of one topic to one handler, for one leadership.
//
// Its loop, one goroutine, owns the state below. Beside the loop run the workers, who see the executor with its queue;
// at most one read, ahead of the workers; and at most one write of progress, while the next one gathers. Reads and
// writes are goroutines that the loop starts with copies of what they need, and that end by sending their outcome to
// the loop.
type consumer struct {
	*logHandler
	cursor   cursor.Cursor
	frontier logread.Frontier
	due      due.Due
	keys     keys.Keys // with OrderKey
	writer   cursor.Writer
	results  queue.Results // memory to be used again

	// stalledSince is since when workers have nothing to do while events wait behind others of their keys; zero: they
	// have.
	stalledSince time.Time

	reading bool         // a read is under way
	read    chan outcome // capacity 1, so that the sender never waits
	wrote   chan outcome // likewise
	broken  chan error   // capacity 1: why a worker wants the consumer to end
}

// outcome is how a step at the database ended. apply takes it into the state.
type outcome struct {
	err   error
	apply func()
}

func newConsumer(h *logHandler) *consumer {
	return &consumer{
		logHandler: h,
		cursor:     cursor.Cursor{DB: h.db, Handler: h.Name, Topic: h.Topic, Term: h.lead.Term, Marker: h.log.Marker()},
		frontier:   logread.NewFrontier(nil, h.isOrdered()),
		due:        due.New(),
		keys:       keys.New(),
		writer:     cursor.NewWriter(h.log.Marker()),
		read:       make(chan outcome, 1),
		wrote:      make(chan outcome, 1),
		broken:     make(chan error, 1),
	}
}

// run consumes until the leadership stops (then it waits for the attempts under way and writes their outcome), until
// ctx is done (then it cancels them first), or until it can no longer write its progress.
func (c *consumer) run(ctx context.Context) error {
	// A handover waits for no claim: another session may have locked the row.
	if err := c.claimCursor(c.lead.Starting); err != nil {
		if c.lead.Starting.Err() != nil && !errors.Is(err, jobs.ErrFenced) {
			return nil
		}
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	starting, startNothing := context.WithCancel(c.lead.Starting)
	stop := func(reason error) {
		startNothing()
		cancel(reason)
	}
	defer stop(nil)
	defer c.counters.Gate.Open.Store(false)
	var workers, closing sync.WaitGroup
	for range c.Concurrency {
		c.startWorker(ctx, starting, &workers)
	}
	closing.Go(func() { // at once, whatever the loop is at
		<-starting.Done()
		c.queue.Close()
	})
	err := c.consume(ctx)
	if err != nil {
		stop(err)
	}
	err = errors.Join(err, c.drain(ctx, &workers, stop))
	stop(nil)
	closing.Wait()
	return err
}

func (c *consumer) startWorker(ctx, starting context.Context, workers *sync.WaitGroup) {
	w := c.newWorker(ctx, starting, workers)
	workers.Go(func() {
		w.trial = c.trials.Of(starting, c.Name, c.Concurrency*max(1, c.Batch), c.Retry.Attempts)
		if c.HandleTx == nil {
			w.run()
		} else {
			(&transactionWorker{worker: w, c: c, ctx: ctx}).run()
		}
	})
}

// claimCursor makes the cursor this term's, and reads what is done and which keys are blocked, before it is needed.
func (c *consumer) claimCursor(ctx context.Context) error {
	var claimed cursor.Claimed
	err := c.holdWhileOwned(ctx, func() (owned *cursor.OwnedError, err error) {
		end, err := c.claims.Take(ctx, claimTurn)
		if err != nil {
			return nil, err
		}
		defer end()
		claimed, owned, err = c.cursor.Take(ctx, c.persist, c.logger, c.group, c.Start == StartLatest)
		return owned, err
	})
	if err != nil {
		return err
	}
	c.identities = claimed.Identities
	c.claim.Store(&claimed.Claim)
	c.settle(append(idset.Set{}, claimed.Done...))
	c.frontier = logread.NewFrontier(claimed.Done, c.isOrdered())
	if !c.isOrdered() {
		return nil
	}
	return c.persist(ctx, "read blocked keys", func(ctx context.Context) error {
		blocked, err := c.cursor.BlockedKeys(ctx, c.OnDead == OnDeadBlockKey, keys.MaxBlocked+1)
		c.keys.Load(blocked)
		return err
	})
}

// consume is the loop: take results, write progress, read more, wait.
func (c *consumer) consume(ctx context.Context) error {
	reading, stopReading := context.WithCancel(ctx)
	defer func() { // waits for the read under way, and forgets what it brings
		stopReading()
		if c.reading {
			<-c.read
			c.reading = false
		}
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for !c.lead.Stopping() {
		c.pulse.Mark()
		c.step(ctx, reading)
		if wait, ok := c.nextTimer(); ok {
			timer.Reset(wait)
		} else {
			timer.Stop()
		}
		var err error
		select {
		case <-c.lead.Starting.Done():
			return nil
		case <-changed(c.queue, &c.writer):
		case <-c.queue.Low():
		case <-c.ring:
			c.frontier.Ring(c.log.Rings())
		case <-c.retry:
			c.due.None = false
			c.keys.ScanAll()
			c.due.QueryBy(time.Time{})
		case o := <-c.read:
			c.reading = false
			if err = o.err; err == nil {
				o.apply()
			}
			c.hasRead.Happen()
		case o := <-c.wrote:
			err = c.written(o)
		case err = <-c.broken:
		case <-timer.C:
		}
		if err != nil {
			if ctx.Err() != nil && !errors.Is(err, jobs.ErrFenced) {
				return nil // stopped, not broken
			}
			return err
		}
	}
	return nil
}

// step begins what there is to do now: reads under the context reading, writes under ctx.
func (c *consumer) step(ctx, reading context.Context) {
	c.seenTo.Store(c.frontier.SeenTo())
	c.takeResults()
	now := time.Now()
	if c.writer.HasUnsaved() && !now.Before(c.writer.DueAt()) {
		c.startWrite(ctx)
	}
	if c.reading {
		return
	}
	full := !c.hasCapacity()
	c.offloadIfStalled(full)
	if full {
		return
	}
	queryDue := c.due.Is(now, c.keys.Empty()) && c.frontier.Settled()
	switch next := c.frontier.Next(now, queryDue); {
	case next == logread.ReadNew:
		c.startNew(reading)
	case next == logread.ReadHoles:
		c.startHoles(reading)
	case queryDue:
		c.startDueQuery(reading)
	default:
		if at, needed := c.keys.RecountAt(); needed && !now.Before(at) {
			c.startRecount(reading)
		}
	}
}

// hasCapacity is false while the workers have more than a page to do. It wakes the loop when they have less.
func (c *consumer) hasCapacity() bool {
	free := c.queue.HasCapacity(c.log.PageLimit())
	return free && !c.writer.Unsaved.IsFull() // the end of the write under way wakes the loop as well
}

// signOfLife is how often the loop moves while it waits for workers alone, who may take any time.
const signOfLife = time.Second

// nextTimer says how long the loop may wait for the sake of its own dates. Where it has none, and nothing is under way
// at the database that bears its sign of life, it wakes for that.
func (c *consumer) nextTimer() (wait time.Duration, ok bool) {
	var due time.Time
	sooner := func(t time.Time) {
		if !ok || t.Before(due) {
			due, ok = t, true
		}
	}
	if c.writer.HasUnsaved() {
		sooner(c.writer.DueAt())
	}
	if !c.stalledSince.IsZero() {
		sooner(c.stalledSince.Add(offloadAfter))
	}
	if !c.reading && c.hasCapacity() { // otherwise results come in first
		if at, some := c.frontier.DueAt(); some {
			sooner(at)
		}
		if c.frontier.Settled() {
			sooner(c.due.By)
		}
		if at, needed := c.keys.RecountAt(); needed {
			sooner(at)
		}
	}
	if !ok && !c.reading && c.writer.Writing == nil {
		return signOfLife, true
	}
	return time.Until(due), ok
}

// drain waits for the workers and writes what they achieve meanwhile. It always waits, since nothing else would.
func (c *consumer) drain(ctx context.Context, workers *sync.WaitGroup, stop func(reason error)) (err error) {
	c.pulse.End() // from here on the drain is what bounds it
	c.queue.Close()
	left := make(chan struct{})
	go func() {
		workers.Wait()
		close(left)
	}()
	for gone := false; ; {
		c.takeResults()
		if ctx.Err() == nil && c.writer.HasUnsaved() {
			c.startWrite(ctx)
		}
		if gone && c.writer.Writing == nil {
			if ctx.Err() != nil && err == nil {
				c.saveLast(ctx)
			}
			return err
		}
		select {
		case <-changed(c.queue, &c.writer):
		case o := <-c.wrote:
			if failed := c.written(o); failed != nil && ctx.Err() == nil {
				err = failed
				stop(err)
			}
		case <-left:
			gone, left = true, nil
		}
	}
}
