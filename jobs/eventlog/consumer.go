package eventlog

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/gate"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/queue"
	"github.com/pgsolo/pgsolo/jobs/internal/idset"
	"github.com/pgsolo/pgsolo/jobs/internal/logread"
	"github.com/pgsolo/pgsolo/jobs/internal/loop"
)

// consumer brings the events of one topic to one handler.
//
// Its loop, one goroutine, owns the state below. Beside the loop run the workers, who see the queue and the counters; at most one
// read, ahead of the workers; and at most one write of progress, while the next one gathers. Reads and writes are goroutines
// that the loop starts with copies of what they need, and that end by sending their outcome to the loop.
type consumer struct {
	Handler
	log      *logread.Log // shared with the other handlers of the topic
	group    string
	logger   hclog.Logger
	term     int64
	queue    *queue.Queue
	wake     chan struct{} // capacity 1: there may be something to read
	due      chan struct{} // capacity 1: there may be deliveries that are due
	counters handlerCounters
	episodes episodes
	pulse    loop.Pulse
	held     func() bool                 // asked before each attempt
	gate     *gate.Gate                  // of the workers
	broken   chan error                  // capacity 1: why a worker wants the consumer to end
	claimed  chan struct{}               // closed by the loop once the cursor is this term's
	latest   atomic.Int64                // the loop's seen, for others
	oldest   atomic.Int64                // creation of the oldest event not done; Unix time in nanoseconds, 0: none; for Stats
	shown    atomic.Pointer[queue.Queue] // the queue, for Stats
	state
}

// state is what the consumer's loop knows in one term.
type state struct {
	more      bool
	rung      int64 // how often the doorbell had rung when the consumer woke
	seen      int64 // the highest id read
	holes     idset.Holes
	holeWait  time.Duration
	holesDue  time.Time
	holesRead time.Time
	above     *logread.Page    // read, but to be handled only after what the holes below it hold; with OrderKey
	gapsRead  bool             // all that the holes held which the term began with is queued
	retrying  map[int64]string // deliveries with rows that are in the queue, or whose outcome is not written yet, and their keys
	retryDue  time.Time        // when to look for some
	none      bool             // there was no row at all
	looks     int              // in this term
	keys      keys             // with OrderKey

	reading bool         // one is under way
	lastNew bool         // the last one was for new events
	read    chan outcome // capacity 1, so that the sender never waits

	saving
}

// outcome is how a step at the database ended. apply takes it into the state.
type outcome struct {
	err   error
	apply func()
}

func newConsumer(h Handler, log *logread.Log, logger hclog.Logger) *consumer {
	return &consumer{Handler: h, log: log, logger: logger, wake: make(chan struct{}, 1), due: make(chan struct{}, 1)}
}

// begin sets the consumer up for a leader's term.
func (c *consumer) begin(lead jobs.Lead) {
	c.term, c.held = lead.Number, lead.Held
	c.queue = queue.New(c.Order == OrderKey)
	c.gate, c.broken = gate.New(c.Rate, c.Breaker, c.logger, &c.counters.gate), make(chan error, 1)
	c.claimed = make(chan struct{})
	c.latest.Store(0)
	c.oldest.Store(0)
	c.shown.Store(c.queue)
	c.state = state{
		more: true, holeWait: minHoleWait, retrying: map[int64]string{}, keys: newKeys(), retryDue: time.Now(), read: make(chan outcome, 1),
		saving: saving{wrote: make(chan outcome, 1)},
	}
}

// Ring makes the consumer read again, soon.
func (c *consumer) Ring() { loop.Signal(c.wake) }

// SeenTo is the highest id that the loop has read, and rowsRead how many rows it has read in all terms.
func (c *consumer) SeenTo() int64 { return c.latest.Load() }

func (c *consumer) RowsRead() int64 { return c.counters.read.Load() }

// RetryNow makes the consumer look for deliveries that somebody else has changed.
func (c *consumer) RetryNow() { loop.Signal(c.due) }

// run consumes until stop is closed (then it waits for the attempts under way and writes their outcome), until ctx is done
// (then it cancels them first), or until it can no longer write its progress.
func (c *consumer) run(ctx context.Context, stop <-chan struct{}) error {
	defer c.pulse.End()
	done, err := c.claim(ctx)
	if err != nil {
		return err
	}
	close(c.claimed)
	if c.Order == OrderKey {
		if err := c.loadKeys(ctx); err != nil {
			return err
		}
	}
	c.seen = done.Highest()
	for _, gap := range done.Gaps() {
		c.holes.Add(gap) // of unfinished events, of late ones, and of ids never used: the first re-read tells
	}
	c.gapsRead = len(c.holes) == 0

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	starting, startNothing := context.WithCancel(ctx)
	defer startNothing()
	defer c.counters.gate.Open.Store(false)
	var workers, closing sync.WaitGroup
	for range c.Concurrency {
		workers.Go(func() { c.work(ctx, starting, &workers) })
	}
	closing.Go(func() { // at once, whatever the loop is at
		select {
		case <-stop:
		case <-ctx.Done():
		}
		startNothing()
		c.queue.Close()
	})
	if err = c.consume(ctx, stop); err != nil {
		cancel(err)
	}
	err = errors.Join(err, c.finish(ctx, &workers, cancel))
	cancel(nil)
	closing.Wait()
	return err
}

// consume is the loop: take results, write progress, read more, wait.
func (c *consumer) consume(ctx context.Context, stop <-chan struct{}) error {
	reading, stopReading := context.WithCancel(ctx)
	defer c.joinRead()
	defer stopReading()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for !loop.IsClosed(stop) {
		c.pulse.Beat()
		c.step(ctx, reading)
		if wait, ok := c.nextTimer(); ok {
			timer.Reset(wait)
		} else {
			timer.Stop()
		}
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-stop:
			return nil
		case <-c.changed():
		case <-c.queue.Low:
		case <-c.wake:
			c.more, c.rung = true, c.log.Rings.Load()
			c.holesDue = c.holesRead.Add(time.Duration(c.holesAtOnce()) * perHole)
		case <-c.due:
			c.none = false
			c.keys.walkAll()
			c.lookBy(time.Time{})
		case o := <-c.read:
			c.reading = false
			if err = o.err; err == nil {
				o.apply()
			}
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

// joinRead waits for the read under way, and forgets what it brings.
func (c *consumer) joinRead() {
	if c.reading {
		<-c.read
		c.reading = false
	}
}

// finish waits for the workers and writes what they achieve meanwhile. It always waits, since nobody else would.
func (c *consumer) finish(ctx context.Context, workers *sync.WaitGroup, cancel context.CancelCauseFunc) (err error) {
	c.pulse.End() // from here on the drain is what bounds it
	c.queue.Close()
	left := make(chan struct{})
	go func() {
		workers.Wait()
		close(left)
	}()
	for gone := false; ; {
		c.settle()
		if ctx.Err() == nil && c.writing == nil && !c.unsaved.empty() {
			c.startWrite(ctx)
		}
		if gone && c.writing == nil {
			if ctx.Err() != nil && err == nil {
				c.saveLast(ctx)
			}
			return err
		}
		select {
		case <-c.changed():
		case o := <-c.wrote:
			if failed := c.written(o); failed != nil && ctx.Err() == nil {
				err = failed
				cancel(err)
			}
		case <-left:
			gone, left = true, nil
		}
	}
}

// nextTimer says how long the loop may wait for the sake of its own dates.
func (c *consumer) nextTimer() (time.Duration, bool) {
	var due time.Time
	sooner := func(t time.Time) {
		if due.IsZero() || t.Before(due) {
			due = t
		}
	}
	if c.writing == nil && !c.unsaved.empty() {
		sooner(c.writeDue())
	}
	if !c.keys.starving.IsZero() {
		sooner(c.keys.starving.Add(spillAfter))
	}
	if !c.reading && c.hasRoom() { // otherwise results come in first
		if c.more || c.above != nil {
			sooner(time.Now())
		}
		if len(c.holes) > 0 {
			sooner(c.holesDue)
		}
		if c.mayLook() {
			sooner(c.retryDue)
		}
		if c.keys.all {
			sooner(c.keys.loadDue)
		}
	}
	return time.Until(due), !due.IsZero()
}

// hasRoom is false while the workers have more than a page to do. It wakes the loop when they have less.
func (c *consumer) hasRoom() bool {
	room := c.queue.HasRoom(c.log.PageLimit())
	return room && !c.unsaved.isFull() // the end of the write under way wakes the loop as well
}

// mayLook is false before what the term's first holes held has come before the rows of its keys.
func (c *consumer) mayLook() bool { return c.Order != OrderKey || c.gapsRead }

// step begins whatever there is to do now: reads under the context reading, writes under ctx.
func (c *consumer) step(ctx, reading context.Context) {
	c.latest.Store(c.seen)
	c.settle()
	if c.writing == nil && !c.unsaved.empty() && !time.Now().Before(c.writeDue()) {
		c.startWrite(ctx)
	}
	if c.reading {
		return
	}
	full := !c.hasRoom()
	c.spillIfStarving(full)
	if full {
		return
	}
	// New events come first, but not twice while something else is due.
	now := time.Now()
	holesDue := len(c.holes) > 0 && !now.Before(c.holesDue)
	if c.hasNone() && !now.Before(c.retryDue) {
		c.retryDue = now.Add(retryLook)
	}
	retriesDue := c.mayLook() && !now.Before(c.retryDue)
	switch {
	case c.above != nil:
		c.startHoles(reading)
	case c.more && !(c.lastNew && (holesDue || retriesDue)):
		c.startNew(reading)
	case retriesDue:
		c.startLook(reading)
	case holesDue:
		c.startHoles(reading)
	case c.keys.all && !now.Before(c.keys.loadDue):
		c.startKeys(reading)
	}
}
