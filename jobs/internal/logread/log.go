// Package logread reads the event log: pages of rows that the readers of a topic share (Log), and for each reader how
// far it has come (Frontier).
//
// A reader is a loop. Frontier.Next says what to read; Log.After or Log.InHoles reads it; Frontier.Arrived or
// Frontier.Reread takes the page in, and says what is to be handed out. Where there is nothing to read, the loop waits
// until Frontier.DueAt, or until package wake rings (Frontier.Ring). Each event of the topic that is committed is
// handed out once, in Page.Records or, before its date, in Page.Later; each other id is another topic's (Page.Foreign)
// or gone.
//
// A reader needs no cursor and no row in the database. One that keeps none is not waited for by package retention.
package logread

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/pgsolo/pgsolo/jobs/internal/idset"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

const (
	// FirstPage is how many rows the first page has. The next ones double while they stay under half of PageBytes, so
	// that small events are read in few round trips.
	FirstPage = 64
	MaxPage   = 4096 // rows of a page, at most

	// PageBytes bounds the payloads, headers and keys of a page: it holds no more than this and one event.
	PageBytes = 2 << 20

	// How much of what was read last is kept for the other handlers of the topic.
	cacheBytes = 8 << 20
	cachePages = 64
)

// Log is the log as the readers of one topic share it. Each has its own place in it, its Frontier. Those that keep pace
// share their reads: the first one reads, those that ask meanwhile for the same wait for that answer, and those that
// come later find it in the cache. None waits for a slower one: a reader that has fallen out of the cache reads by
// itself.
//
// An older page is as good as a fresh one. What it has is committed, and stays. What it lacks, and was committed since,
// is either above its highest id, and the reader comes back for that because the page was read before the ring that
// announced it (Page.ringSeen); or it is a hole, and stays one until a read of holes that is never shared, under a
// horizon that is taken after that, and so after whichever read showed the hole.
type Log struct {
	reader  Reader
	rings   *atomic.Int64 // how often the doorbell has rung; counted before a consumer is woken
	readers int           // does not change while one reads

	emitters *Emitters // nil: nothing is known of them

	mu      sync.Mutex // guards all below
	limit   int        // rows of the next page
	expect  int        // records of the next page
	flights map[int64]*flight
	cache   []*Page // the latest last
	cached  int     // bytes
}

// flight is a read under way. The goroutine that began it sets page and err, and then closes done.
type flight struct {
	done chan struct{}
	page *Page
	err  error
}

// NewLog makes the log of a topic. rings is how often the doorbell has rung, and is counted before a reader is woken.
func NewLog(reader Reader, rings *atomic.Int64) *Log {
	return &Log{reader: reader, rings: rings, limit: FirstPage, flights: map[int64]*flight{}}
}

// Join adds a reader. None reads at that time.
func (l *Log) Join() { l.readers++ }

// Shared says whether other readers may get the same records.
func (l *Log) Shared() bool { return l.readers > 1 }

// Rings is how often the doorbell has rung.
func (l *Log) Rings() int64 { return l.rings.Load() }

// Begin forgets what an earlier term has read. None reads at that time.
func (l *Log) Begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limit, l.expect, l.cache, l.cached = FirstPage, 0, nil, 0
}

// Marker is that of values which could not be printed. See Printed.
func (l *Log) Marker() string { return l.reader.marker }

// Refusal is why the event of a record could not be read; nil: it was.
func (l *Log) Refusal(payload []byte) error { return Refusal(payload, l.reader.marker) }

// PageLimit is the size that the next page may have.
func (l *Log) PageLimit() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.limit
}

// After returns the rows that follow id. Where there are none the read has begun after so many rings. The page may be
// older than that where it has rows: Frontier.Arrived compares.
func (l *Log) After(ctx context.Context, id, rings int64) (Page, error) {
	for {
		l.mu.Lock()
		if p := l.find(id, rings); p != nil {
			l.mu.Unlock()
			return p.above(id), nil
		}
		f, joined := l.flights[id]
		if !joined {
			f = &flight{done: make(chan struct{})}
			l.flights[id] = f
		}
		limit, expect := l.limit, l.expect
		l.mu.Unlock()
		if !joined {
			l.fly(ctx, f, id, limit, expect)
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return Page{}, ctx.Err()
		}
		if f.err == nil {
			return *f.page, nil
		}
		// It may be the other's context that has ended the read, and not this one's.
		if !joined || !errors.Is(f.err, context.Canceled) && !errors.Is(f.err, context.DeadlineExceeded) {
			return Page{}, f.err
		}
	}
}

// fly reads, and leaves the page in the cache.
func (l *Log) fly(ctx context.Context, f *flight, id int64, limit, expect int) {
	defer close(f.done)
	rings := l.rings.Load()
	f.page, f.err = l.reader.after(ctx, id, limit, expect)
	if l.narrow(f.err); pg.IsOfRow(f.err) {
		f.page, f.err = l.reader.oneAfter(ctx, id)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.flights, id)
	if f.err != nil {
		return
	}
	f.page.ringSeen = rings
	l.resize(f.page)
	if l.Shared() {
		l.keep(f.page)
	}
}

// InHoles returns rows that have become visible in the holes, as many as fit into a page. It is never shared. Holes
// without a horizon get one first.
func (l *Log) InHoles(ctx context.Context, holes idset.Holes) (*Page, error) {
	limit := l.PageLimit()
	if holes.LackHorizon() { // otherwise a write of progress has given them one for nothing
		number, err := TransactionNumber(ctx, l.reader.db)
		if err != nil {
			return nil, err
		}
		holes.SetHorizon(number)
	}

	floor := l.emitters.Floor() // before the read begins
	p, err := l.reader.In(ctx, holes, limit)
	if l.narrow(err); pg.IsOfRow(err) {
		p, err = l.reader.oneIn(ctx, holes)
	}
	if err != nil {
		return nil, err
	}
	p.xmin = max(p.xmin, floor)
	if n, lowest, highest := holes.Open(p.xmin); n > 0 && !p.cutOff {
		l.emitters.Open(ctx, n, lowest, highest)
	}
	if p.cutOff {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.resize(p)
	}
	return p, nil
}

// narrow has the next pages begin small again where a row of this one cannot be read, whose neighbours come without it;
// and smaller where it took too long: each row that takes too much memory costs the server up to a second.
func (l *Log) narrow(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case pg.IsOfRow(err):
		l.limit, l.expect = 1, 0
	case errors.Is(err, context.DeadlineExceeded):
		l.limit, l.expect = max(1, l.limit/16), 0
	}
}

// resize sets the size of the next page by what the last one held.
func (l *Log) resize(p *Page) {
	l.expect = 0
	switch {
	case p.bytes > PageBytes:
		l.limit = max(1, p.Rows)
	case p.cutOff && p.bytes < PageBytes/2:
		l.limit = min(MaxPage, 2*l.limit)
	}
	if p.cutOff {
		l.expect = min(l.limit, 2*len(p.Records))
	}
}

// find returns a page that shows what follows id: rows, or, read after so many rings, that there are none.
func (l *Log) find(id, rings int64) *Page {
	for i := len(l.cache) - 1; i >= 0; i-- {
		p := l.cache[i]
		if p.after <= id && (id < p.highest() || id == p.highest() && !p.cutOff && p.ringSeen >= rings) {
			return p
		}
	}
	return nil
}

// keep puts the page into the cache, unless it is too large for that: what an event has taken is free once it is
// handled. A page without rows shows less than the next that follows the same id.
func (l *Log) keep(p *Page) {
	if n := len(l.cache); n > 0 && l.cache[n-1].Rows == 0 {
		l.cached -= l.cache[n-1].size()
		l.cache = l.cache[:n-1]
	}
	l.cache = append(l.cache, p)
	l.cached += p.size()
	for len(l.cache) > 0 && (l.cached > cacheBytes || len(l.cache) > cachePages) {
		l.cached -= l.cache[0].size()
		l.cache[0] = nil
		l.cache = l.cache[1:]
	}
}

// size is about how much memory the page takes.
func (p *Page) size() int {
	const ofRecord, ofLater, ofSpan = 96, 120, 16
	return p.bytes + cap(p.Records)*ofRecord + cap(p.Later)*ofLater + (cap(p.present)+cap(p.Foreign))*ofSpan
}
