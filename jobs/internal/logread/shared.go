package logread

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
)

const (
	// A page of the log is at first small, and doubles while it stays under half of pageBytes, so that small events are read in
	// few round trips. No page holds more than pageBytes and one event.
	FirstPage = 64
	MaxPage   = 4096
	PageBytes = 2 << 20

	// How much of what was read last is kept for the other handlers of the topic.
	cacheBytes = 8 << 20
	cachePages = 64
)

// Log is the log as the handlers of one topic read it. Each has its own place in it; those that keep pace share their reads:
// whoever comes first reads, those who ask meanwhile for the same wait for that answer, and those who come later find it in
// the cache. Nobody waits for a slower one: a handler that has fallen out of the cache reads by itself.
//
// An older page is as good as a fresh one. What it has is committed, and stays. What it lacks, and was committed since, is
// either above its highest id, and the reader comes back for that because the page was read before the ring that told of
// it (page.rung); or it is a hole, and stays one until a read of holes that is never shared, under a horizon that is taken
// after that, and so after whichever read showed the hole.
type Log struct {
	Reader
	Rings *atomic.Int64 // how often the doorbell has rung; counted before anybody is woken

	mu      sync.Mutex // guards all below
	Readers int        // handlers of the topic
	limit   int        // rows of the next page
	expect  int        // records of the next page
	flights map[int64]*flight
	cache   []*Page // the latest last
	cached  int     // bytes
}

// flight is a read under way. Whoever began it sets page and err, and then closes done.
type flight struct {
	done chan struct{}
	page *Page
	err  error
}

func NewLog(reader Reader, rings *atomic.Int64) *Log {
	return &Log{Reader: reader, Rings: rings, limit: FirstPage, flights: map[int64]*flight{}}
}

// Begin forgets what an earlier term has read. Nobody reads at that time.
func (l *Log) Begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limit, l.expect, l.cache, l.cached = FirstPage, 0, nil, 0
}

// PageLimit is the size that the next page may have.
func (l *Log) PageLimit() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.limit
}

// Shared says whether other handlers may get the same records.
func (l *Log) Shared() bool { return l.Readers > 1 } // does not change after New

// After returns the rows that follow id. Where there are none it has looked after ring number rung. The page may be older than
// that where it has rows: whoever takes it compares its own rung.
func (l *Log) After(ctx context.Context, id, rung int64) (Page, error) {
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
	rung := l.Rings.Load()
	f.page, f.err = l.Reader.after(ctx, id, limit, expect)
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.flights, id)
	if f.err != nil {
		return
	}
	f.page.Rung = rung
	l.resize(f.page)
	if l.Readers > 1 {
		l.keep(f.page)
	}
}

// Learn takes a page that was not shared into account for the size of the next one.
func (l *Log) Learn(p *Page) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.resize(p)
}

// resize sets the size of the next page by what the last one held.
func (l *Log) resize(p *Page) {
	l.expect = 0
	switch {
	case p.bytes > PageBytes:
		l.limit = max(1, p.Rows)
	case p.CutOff && p.bytes < PageBytes/2:
		l.limit = min(MaxPage, 2*l.limit)
	}
	if p.CutOff {
		l.expect = min(l.limit, 2*len(p.Records))
	}
}

// find looks for a page that tells what follows id: rows, or as of ring number rung that there are none.
func (l *Log) find(id, rung int64) *Page {
	for i := len(l.cache) - 1; i >= 0; i-- {
		p := l.cache[i]
		if p.after <= id && (id < p.highest() || id == p.highest() && !p.CutOff && p.Rung >= rung) {
			return p
		}
	}
	return nil
}

// keep puts the page into the cache. One without rows tells less than the next that follows the same id.
func (l *Log) keep(p *Page) {
	if n := len(l.cache); n > 0 && l.cache[n-1].Rows == 0 {
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
func (p *Page) size() int {
	const ofRecord, ofLater, ofSpan = 96, 32, 16
	return p.bytes + cap(p.Records)*ofRecord + cap(p.Later)*ofLater + (cap(p.Present)+cap(p.Foreign))*ofSpan
}
