package logread

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/jobs/internal/idset"
)

// modelTx is a transaction that inserts events.
type modelTx struct {
	number int64
	ids    []int64
}

type modelEvent struct {
	foreign   bool
	began     int // when its id was given out
	committed int // when; 0: not yet, or never
	ended     bool
	out       int // how often it was handed out
	gone      bool
}

// modelLog is PostgreSQL, as far as a frontier has to do with it, and its producers.
type modelLog struct {
	t      *testing.T
	seed   uint64
	random *rand.Rand
	now    time.Time
	moment int // counts all that happens

	lastID, lastNumber int64
	open               []*modelTx
	events             map[int64]*modelEvent
	rings              int64
	pages              []*Page // read before: what a cache has
}

func (m *modelLog) fail(format string, args ...any) {
	m.t.Helper()
	m.t.Fatalf("seed %d, moment %d: %s", m.seed, m.moment, fmt.Sprintf(format, args...))
}

// number gives one out to a transaction that ends at once.
func (m *modelLog) number() int64 {
	m.lastNumber++
	return m.lastNumber
}

// xmin is that of a snapshot: the lowest number whose transaction has not ended.
func (m *modelLog) xmin() int64 {
	xmin := m.lastNumber + 1
	for _, tx := range m.open {
		if tx.number > 0 {
			xmin = min(xmin, tx.number)
		}
	}
	return xmin
}

// insert gives an id to a transaction, which has its number before.
func (m *modelLog) insert() {
	if len(m.open) == 0 || m.random.IntN(3) == 0 {
		m.open = append(m.open, &modelTx{})
	}
	tx := m.open[m.random.IntN(len(m.open))]
	if tx.number == 0 {
		tx.number = m.number()
	}
	m.lastID++
	tx.ids = append(tx.ids, m.lastID)
	m.events[m.lastID] = &modelEvent{foreign: m.random.IntN(4) == 0, began: m.moment}
}

func (m *modelLog) end(commit bool) {
	if len(m.open) == 0 {
		return
	}
	i := m.random.IntN(len(m.open))
	for _, id := range m.open[i].ids {
		m.events[id].ended = true
		if commit {
			m.events[id].committed = m.moment
		}
	}
	m.open = slices.Delete(m.open, i, i+1)
	if commit && m.random.IntN(2) == 0 {
		m.rings++
	}
}

// read returns the visible rows of the spans, at most limit.
func (m *modelLog) read(spans []idset.Span, limit int) *Page {
	p := &Page{xmin: m.xmin(), ringSeen: m.rings}
	for _, s := range spans {
		for id := s.Lo; id < min(s.Hi, m.lastID+1); id++ {
			switch e := m.events[id]; {
			case e.committed == 0:
				continue
			case e.foreign:
				p.Foreign.Add(idset.One(id))
			default:
				p.Records = append(p.Records, Record{ID: id})
			}
			p.present.Add(idset.One(id))
			if p.Rows++; p.Rows == limit {
				p.cutOff = true
				return p
			}
		}
	}
	return p
}

// after is Log.After: the page may be one that was read before.
func (m *modelLog) after(id, rings int64) *Page {
	if m.random.IntN(2) == 0 {
		for _, p := range m.pages {
			highest := p.highest()
			if p.after <= id && (id < highest || id == highest && !p.cutOff && p.ringSeen >= rings) {
				above := p.above(id)
				return &above
			}
		}
	}
	p := m.read([]idset.Span{{Lo: id + 1, Hi: math.MaxInt64}}, 1+m.random.IntN(8))
	p.after = id
	m.pages = append(m.pages, p)
	return p
}

// inHoles is Log.InHoles.
func (m *modelLog) inHoles(holes idset.Holes) *Page {
	if holes.LackHorizon() {
		holes.SetHorizon(m.number())
	}
	los, his := holes.Bounds()
	spans := make([]idset.Span, len(los))
	for i := range los {
		spans[i] = idset.Span{Lo: los[i], Hi: his[i]}
	}
	return m.read(spans, 1+m.random.IntN(8))
}

// handOut takes in a page that the frontier lets through.
func (m *modelLog) handOut(p *Page, ordered bool) {
	for _, id := range p.present.IDs() {
		e := m.events[id]
		if e.out++; e.out > 1 {
			m.fail("event %d is handed out twice", id)
		}
		if e.gone {
			m.fail("event %d is handed out after it was given up", id)
		}
	}
	if !ordered {
		return
	}
	inPage := func(id int64) bool { return slices.Contains(p.present.IDs(), id) }
	for _, r := range p.Records {
		for id := range r.ID {
			if e := m.events[id]; e != nil && e.committed > 0 && e.committed < m.events[r.ID].began && e.out == 0 &&
				!inPage(id) {
				m.fail("event %d comes before event %d, which was committed before the first began to be written", r.ID,
					id)
			}
		}
	}
}

func (m *modelLog) giveUp(gone []idset.Span) {
	for _, s := range gone {
		for id := s.Lo; id < s.Hi; id++ {
			e := m.events[id]
			switch {
			case !e.ended:
				m.fail("event %d is given up although its transaction may commit yet", id)
			case e.committed > 0:
				m.fail("event %d is given up although it was committed", id)
			case e.gone:
				m.fail("event %d is given up twice", id)
			}
			e.gone = true
		}
	}
}

// modelReader is a reader of the log as the loop of a handler is one: at most one read and one write are under way.
type modelReader struct {
	*modelLog
	f       Frontier
	ordered bool
	finish  func() // the read under way
	writing bool
	number  int64 // of the write's transaction; 0: not begun
}

// startRead begins whatever read is due. Its snapshot is taken at once, and its page comes with finish.
func (r *modelReader) startRead(otherDue bool) {
	switch next := r.f.Next(r.now, otherDue); {
	case next == ReadNew:
		p := r.after(r.f.After())
		r.finish = func() {
			if arrived := r.f.Arrived(p, r.now); arrived != nil {
				r.handOut(arrived, r.ordered)
			}
		}
	case next == ReadHoles:
		holes := r.f.TakeHoles()
		p := r.inHoles(holes)
		r.finish = func() {
			gone, held := r.f.Reread(p, holes, r.now)
			r.giveUp(gone)
			r.handOut(p, r.ordered)
			if held != nil {
				r.handOut(held, r.ordered)
			}
		}
	case otherDue:
		r.finish = r.f.OtherRead
	}
}

func (r *modelReader) finishRead() {
	finish := r.finish
	r.finish = nil
	finish()
}

func (r *modelReader) write() {
	switch {
	case !r.writing:
		r.writing, r.number = true, 0
		r.f.AwaitHorizon()
	case r.number == 0:
		r.number = r.modelLog.number()
	default:
		r.writing = false
		if r.random.IntN(4) > 0 { // or it has failed
			r.f.SetHorizon(r.number)
		}
	}
}

func (r *modelReader) step() {
	r.moment++
	r.now = r.now.Add(time.Duration(r.random.IntN(3000)) * time.Microsecond)
	switch n := r.random.IntN(20); {
	case n < 6:
		r.insert()
	case n < 8:
		r.end(true)
	case n < 9:
		r.end(false)
	case n < 10:
		r.f.Ring(r.rings)
	case n < 13:
		r.write()
	case r.finish != nil:
		r.finishRead()
	default:
		r.startRead(r.random.IntN(4) == 0)
	}
}

// Producers insert, commit late and roll back while a reader reads in pages, re-reads its holes under horizons that its
// writes or the reads themselves bring, and finds pages that were read before. Each committed event is handed out
// exactly once, in order where that is asked for; no id is given up before its transaction has ended; and in the end no
// id is left.
func TestFrontierModel(t *testing.T) {
	for _, ordered := range []bool{false, true} {
		for seed := range uint64(300) {
			log := &modelLog{
				t: t, seed: seed, random: rand.New(rand.NewPCG(seed, 4)), now: epoch, events: map[int64]*modelEvent{},
			}
			r := &modelReader{modelLog: log, ordered: ordered, f: NewFrontier(nil, ordered)}
			var done idset.Set
			for range 1500 {
				r.step()
				if r.random.IntN(500) == 0 { // the next leader begins with what is done
					done = nil
					for id, e := range r.events {
						if e.out > 0 || e.gone {
							done.Add(idset.One(id))
						}
					}
					r.f, r.finish, r.writing, r.pages = NewFrontier(done, ordered), nil, false, nil
				}
			}
			r.settle()
		}
	}
}

// settle ends all transactions, and reads until nothing is due any more.
func (r *modelReader) settle() {
	for len(r.open) > 0 {
		r.moment++
		r.end(r.random.IntN(2) == 0)
	}
	r.rings++
	r.f.Ring(r.rings)
	for range 10_000 {
		r.moment++
		r.now = r.now.Add(maxHoleWait)
		if r.finish != nil {
			r.finishRead()
		} else if r.startRead(false); r.finish == nil {
			break
		}
	}
	for id, e := range r.events {
		if e.committed > 0 && e.out != 1 || e.committed == 0 && id <= r.f.SeenTo() && !e.gone {
			r.fail("event %d, committed: %t, was handed out %d times; given up: %t", id, e.committed > 0, e.out, e.gone)
		}
	}
	if _, due := r.f.DueAt(); due {
		r.fail("there is something to read for ever")
	}
}
