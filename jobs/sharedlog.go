package jobs

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
)

const (
	// A page of the log is at first small, and doubles while it stays under half of pageBytes, so that small events are read in
	// few round trips. No page holds more than pageBytes and one event.
	firstPage = 64
	maxPage   = 4096
	pageBytes = 2 << 20

	// How much of what was read last is kept for the other handlers of the topic.
	cacheBytes = 8 << 20
	cachePages = 64
)

// eventLog is the log as the handlers of one topic read it. Each has its own place in it; those that keep pace share their reads:
// whoever comes first reads, those who ask meanwhile for the same wait for that answer, and those who come later find it in
// the cache. Nobody waits for a slower one: a handler that has fallen out of the cache reads by itself.
//
// An older page is as good as a fresh one. What it has is committed, and stays. What it lacks, and was committed since, is
// either above its highest id, and the reader comes back for that because the page was read before the ring that told of
// it (page.rung); or it is a hole, and stays one until a read of holes that is never shared, under a horizon that is taken
// after that, and so after whichever read showed the hole.
type eventLog struct {
	logReader
	rings *atomic.Int64 // how often the doorbell has rung; counted before anybody is woken

	mu      sync.Mutex // guards all below
	readers int        // handlers of the topic
	limit   int        // rows of the next page
	expect  int        // records of the next page
	flights map[int64]*flight
	cache   []*page // the latest last
	cached  int     // bytes
}

// flight is a read under way. Whoever began it sets page and err, and then closes done.
type flight struct {
	done chan struct{}
	page *page
	err  error
}

func newEventLog(reader logReader, rings *atomic.Int64) *eventLog {
	return &eventLog{logReader: reader, rings: rings, limit: firstPage, flights: map[int64]*flight{}}
}

// begin forgets what an earlier term has read. Nobody reads at that time.
func (l *eventLog) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limit, l.expect, l.cache, l.cached = firstPage, 0, nil, 0
}

// pageLimit is the size that the next page may have.
func (l *eventLog) pageLimit() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.limit
}

// shared says whether other handlers may get the same records.
func (l *eventLog) shared() bool { return l.readers > 1 } // does not change after New

// after returns the rows that follow id. Where there are none it has looked after ring number rung. The page may be older than
// that where it has rows: whoever takes it compares its own rung.
func (l *eventLog) after(ctx context.Context, id, rung int64) (page, error) {
	for {
		l.mu.Lock()
		if p := l.find(id, rung); p != nil {
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
			return page{}, ctx.Err()
		}
		if f.err == nil {
			return *f.page, nil
		}
		// It may be the other's context that has ended the read, and not this one's.
		if !joined || !errors.Is(f.err, context.Canceled) && !errors.Is(f.err, context.DeadlineExceeded) {
			return page{}, f.err
		}
	}
}

// fly reads, and leaves the page in the cache.
func (l *eventLog) fly(ctx context.Context, f *flight, id int64, limit, expect int) {
	defer close(f.done)
	rung := l.rings.Load()
	f.page, f.err = l.logReader.after(ctx, id, limit, expect)
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.flights, id)
	if f.err != nil {
		return
	}
	f.page.rung = rung
	l.resize(f.page)
	if l.readers > 1 {
		l.keep(f.page)
	}
}

// learn takes a page that was not shared into account for the size of the next one.
func (l *eventLog) learn(p *page) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.resize(p)
}

// resize sets the size of the next page by what the last one held.
func (l *eventLog) resize(p *page) {
	l.expect = 0
	switch {
	case p.bytes > pageBytes:
		l.limit = max(1, p.rows)
	case p.cutOff && p.bytes < pageBytes/2:
		l.limit = min(maxPage, 2*l.limit)
	}
	if p.cutOff {
		l.expect = min(l.limit, 2*len(p.records))
	}
}

// find looks for a page that tells what follows id: rows, or as of ring number rung that there are none.
func (l *eventLog) find(id, rung int64) *page {
	for i := len(l.cache) - 1; i >= 0; i-- {
		p := l.cache[i]
		if p.after <= id && (id < p.highest() || id == p.highest() && !p.cutOff && p.rung >= rung) {
			return p
		}
	}
	return nil
}

// keep puts the page into the cache. One without rows tells less than the next that follows the same id.
func (l *eventLog) keep(p *page) {
	if n := len(l.cache); n > 0 && l.cache[n-1].rows == 0 {
		l.cached -= l.cache[n-1].size()
		l.cache = l.cache[:n-1]
	}
	l.cache = append(l.cache, p)
	l.cached += p.size()
	for len(l.cache) > 1 && (l.cached > cacheBytes || len(l.cache) > cachePages) {
		l.cached -= l.cache[0].size()
		l.cache[0] = nil
		l.cache = l.cache[1:]
	}
}

// size is about how much memory the page takes.
func (p *page) size() int {
	const ofRecord, ofLater, ofSpan = 96, 32, 16
	return p.bytes + cap(p.records)*ofRecord + cap(p.later)*ofLater + (cap(p.present)+cap(p.foreign))*ofSpan
}
