package eventlog

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/queue"
	"github.com/pgsolo/pgsolo/jobs/internal/idset"
	"github.com/pgsolo/pgsolo/jobs/internal/logread"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

const (
	// More keys than this are not kept in memory: then all count as blocked.
	maxBlocked = 100_000

	// How often to see whether they have become fewer.
	blockedLook = time.Minute

	// How long workers may have nothing to do, while all that was read waits behind events of the same keys, before that is put aside.
	spillAfter = 250 * time.Millisecond

	maxCandidates = 256 // keys in one look, and as many again that are walked to
)

// keys is what the loop of a handler with OrderKey knows about the keys of its events.
//
// The order of a key is kept in two places. In the queue, chains let one delivery of a key follow the other. Once one has failed,
// or is put aside by spill, the key is blocked: it has rows in pgsolo.delivery, and its later events go there too, as
// waiting, until no row is left. The lowest id of a key comes next (see selectLook). Three rules keep the two in line:
//
//   - A key is blocked from the moment at which the loop takes in the failure, before anything is written. The queue hands out
//     nothing of the key between the failure and that moment (chain.halted), and only the loop puts anything into the queue.
//   - What a look at the table says of a key counts only if the look began after the end of the last write that put a row of
//     the key there, and none has to be written since. Otherwise a look that began before the failure of event 3 could bring
//     the waiting event 4, or find that the key has no rows. blocked has the number of that write.
//   - A key is let go only by such a look that finds no row of it. Nobody but this leader, whose term the write checks, makes one.
//
// A leader that begins has no chains, and reads the keys from the table before anything else. What was in a chain of its
// predecessor is in a gap of the cursor, and may come before rows of the same key that were spilled: so the gaps are read, and
// what is found in blocked keys is put with the rows, before the first look.
//
// blocked has as many keys as have unfinished deliveries, and a few that have had some, up to maxBlocked. Beyond that, all counts,
// and it has only those whose rows a look at the table may miss.
type keys struct {
	blocked map[string]int64 // to the number of the write that puts its latest row into the table
	all     bool
	loading bool
	loadDue time.Time // while all: when to count them again

	candidates map[string]struct{} // keys that may have something due, or no row left
	walking    bool                // through all keys with waiting rows, from walked on
	walked     string
	walks      int       // how often that has begun
	walkDue    time.Time // when to walk a part of the way without being told
	unsure     []string  // keys of which a look was stale: candidates after the next write

	begun, ended int64 // writes
	starving     time.Time
}

func newKeys() keys {
	return keys{blocked: map[string]int64{}, candidates: map[string]struct{}{}, walking: true}
}

func (k *keys) isBlocked(key string) bool {
	if k.all {
		return true
	}
	_, ok := k.blocked[key]
	return ok
}

// block makes the later events of a key go to its rows. One of those is in the next write.
func (k *keys) block(key string) {
	if _, ok := k.blocked[key]; !ok {
		key = strings.Clone(key) // of a page, which it would keep in memory
	}
	k.blocked[key] = k.begun + 1
	if len(k.blocked) > maxBlocked && !k.loading {
		if !k.all {
			k.all, k.loadDue = true, time.Now().Add(blockedLook)
		}
		for key, write := range k.blocked {
			if write <= k.ended {
				delete(k.blocked, key)
			}
		}
	}
}

// load takes in the keys with rows in the table, or as many of them as are too many.
func (k *keys) load(found []string) {
	for _, key := range found {
		if _, ok := k.blocked[key]; !ok {
			k.blocked[key] = 0
		}
	}
	k.loading, k.loadDue = false, time.Now().Add(blockedLook)
	k.all = len(k.blocked) > maxBlocked
	if k.all {
		for key, write := range k.blocked {
			if write <= k.ended {
				delete(k.blocked, key)
			}
		}
	}
}

// stale says whether a look that began when so many writes had ended may be wrong about a key. Then another look follows, after
// the write that it was too early for.
func (k *keys) stale(key string, ended int64) bool {
	if k.blocked[key] <= ended {
		return false
	}
	if k.blocked[key] > k.ended {
		k.unsure = append(k.unsure, key)
	} else {
		k.consider(key)
	}
	return true
}

// written makes candidates of the keys that a look was too early for, and says whether there is a reason to look.
func (k *keys) written() bool {
	k.ended++
	for _, key := range k.unsure {
		k.consider(key)
	}
	k.unsure = k.unsure[:0]
	return len(k.candidates) > 0
}

// consider makes the next look see whether something of the key is due.
func (k *keys) consider(key string) {
	switch {
	case key == "":
	case len(k.candidates) >= maxBlocked:
		k.walkAll() // finds it as well
	default:
		k.candidates[strings.Clone(key)] = struct{}{}
	}
}

// walkAll makes the next looks go through all keys with waiting rows: somebody else may have changed what they wait for.
func (k *keys) walkAll() {
	k.walking, k.walked = true, ""
	k.walks++
}

// nextCandidates takes some keys to look at.
func (k *keys) nextCandidates() (some []string) {
	for key := range k.candidates {
		if len(some) == maxCandidates {
			break
		}
		some = append(some, key)
		delete(k.candidates, key)
	}
	return some
}

// afterFailure keeps what follows a failed event of a key behind it, or lets it pass.
func (c *consumer) afterFailure(r queue.Result, dead bool) {
	if c.Order != OrderKey || r.Record.Key == "" {
		return
	}
	if !dead || c.OnDead == OnDeadBlockKey {
		c.keys.block(r.Record.Key)
	}
	if !c.keys.isBlocked(r.Record.Key) {
		c.queue.PushDeliveries(r.Behind)
		return
	}
	c.putAside(r.Behind)
	if dead {
		c.passOn(r.Record.Key)
	}
}

// putAside moves deliveries that the queue has let go of to the rows of their keys. Those that have a row are read again from there.
func (c *consumer) putAside(deliveries []queue.Delivery) {
	for _, d := range deliveries {
		if d.Retry {
			delete(c.retrying, d.Record.ID)
			c.keys.block(d.Record.Key)
		} else {
			c.wait(d.Record)
		}
	}
}

// wait moves an event from the log to the rows of its key, to wait there for its turn.
func (c *consumer) wait(r *logread.Record) {
	c.keys.block(r.Key)
	c.unsaved.moved = append(c.unsaved.moved, moved{id: r.ID, key: strings.Clone(r.Key)})
	c.unsaved.copied += len(r.Payload)
	c.unsaved.done.Add(idset.One(r.ID))
	c.results = true
}

// tooEarly makes those waiting ones that are due by their date only.
func (c *consumer) tooEarly(l look, early []earlyDelivery) {
	var mine []earlyDelivery
	for _, e := range early {
		if !c.keys.stale(e.key, l.ended) {
			mine = append(mine, e)
		}
	}
	for _, e := range mine {
		c.keys.block(e.key)
		c.unsaved.early = append(c.unsaved.early, e.id)
		c.results = true
	}
}

// pushInOrder queues the records, except those of blocked keys.
func (c *consumer) pushInOrder(records []logread.Record) {
	start := 0
	for i := range records {
		if key := records[i].Key; key != "" && c.keys.isBlocked(key) {
			c.queue.Push(records[start:i])
			start = i + 1
			c.wait(&records[i])
		}
	}
	c.queue.Push(records[start:])
}

// spillIfStarving puts aside what waits behind slow keys once it keeps the workers from everything else. full: the queue has no room.
func (c *consumer) spillIfStarving(full bool) {
	switch now := time.Now(); {
	case !full || !c.queue.Starves():
		c.keys.starving = time.Time{}
	case c.keys.starving.IsZero():
		c.keys.starving = now
	case now.Sub(c.keys.starving) >= spillAfter:
		c.keys.starving = time.Time{}
		c.putAside(c.queue.Spill())
	}
}

const selectBlocked = `select distinct key from pgsolo.delivery
	where handler = $1 and key <> '' and (state in ('retry', 'waiting') or $2 and state = 'dead')
	limit $3`

// blockedKeys reads the keys that have to wait, or one more than are wanted.
func (c *consumer) blockedKeys(ctx context.Context) ([]string, error) {
	rows, err := c.log.Pool.Query(ctx, pg.Place(selectBlocked, c.log.Schema), c.Name, c.OnDead == OnDeadBlockKey, maxBlocked+1)
	if err != nil {
		return nil, fmt.Errorf("read blocked keys: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read blocked keys: %w", err)
	}
	return found, nil
}

// loadKeys reads the blocked keys before anything is handled.
func (c *consumer) loadKeys(ctx context.Context) error {
	return c.persist(ctx, "read blocked keys", func(ctx context.Context) error {
		found, err := c.blockedKeys(ctx)
		c.keys.load(found)
		return err
	})
}

// startKeys reads them again, where they were too many.
func (c *consumer) startKeys(ctx context.Context) {
	c.lastNew = false
	c.keys.loading = true
	var found []string
	c.start(ctx, "read blocked keys", func(ctx context.Context) (err error) {
		found, err = c.blockedKeys(ctx)
		return err
	}, func() { c.keys.load(found) })
}

const setWaitingFree = `update pgsolo.delivery set state = 'retry', next_at = clock_timestamp()
	where handler = $1 and state = 'waiting' and exists (select from pgsolo.cursor where handler = $1 and term = $2)`

// freeWaiting lets go of what waits for its turn since the handler had an order.
func (c *consumer) freeWaiting(ctx context.Context) error {
	if _, err := c.log.Pool.Exec(ctx, pg.Place(setWaitingFree, c.log.Schema), c.Name, c.term); err != nil {
		return fmt.Errorf("free waiting deliveries: %w", err)
	}
	return nil
}
