package eventlog

import (
	"time"

	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/queue"
	"github.com/pgsolo/pgsolo/jobs/internal/logread"
)

// offloadAfter is how long workers may have nothing to do, while all that was read waits behind events of the same
// keys, before that is offloaded.
const offloadAfter = 250 * time.Millisecond

// pushInOrder queues the records, except those of blocked keys.
func (c *consumer) pushInOrder(records []logread.Record) {
	start := 0
	for i := range records {
		if key := records[i].Key; key != "" && c.keys.Blocked(key) {
			c.queue.Push(records[start:i])
			start = i + 1
			c.keys.Block(key)
			c.writer.MoveBehind(&records[i])
		}
	}
	c.queue.Push(records[start:])
}

// followInTable queries the next one of a key after an event that has no row, if others of the key have: they were
// offloaded.
func (c *consumer) followInTable(key string) {
	if c.isOrdered() && key != "" && c.keys.Blocked(key) {
		c.keys.Consider(key)
		c.due.QueryBy(time.Time{})
	}
}

// offload moves deliveries that the queue has let go of to the rows of their keys. Those that have a row are read again
// from there.
func (c *consumer) offload(deliveries []queue.Delivery) {
	for _, d := range deliveries {
		c.keys.Block(d.Record.Key)
		if d.Retry {
			delete(c.due.Retrying, d.Record.ID)
		} else {
			c.writer.MoveBehind(d.Record)
		}
	}
}

// offloadIfStalled offloads what waits behind slow keys once it keeps the workers from everything else. full: the queue
// has no capacity.
func (c *consumer) offloadIfStalled(full bool) {
	switch now := time.Now(); {
	case !full || !c.queue.IsStalled():
		c.stalledSince = time.Time{}
	case c.stalledSince.IsZero():
		c.stalledSince = now
	case now.Sub(c.stalledSince) >= offloadAfter:
		c.stalledSince = time.Time{}
		c.offload(c.queue.Offload())
	}
}
