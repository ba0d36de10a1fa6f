package logread

import (
	"time"

	"github.com/pgsolo/pgsolo/jobs/internal/idset"
)

const (
	// Holes are re-read when the doorbell rings, and otherwise at these intervals, doubling while nothing changes. Many
	// holes are re-read less often: each costs the server a step in the index.
	minHoleWait = 2 * time.Millisecond
	maxHoleWait = 250 * time.Millisecond
	perHole     = 10 * time.Microsecond
	maxHoles    = 1000 // in one read, without order
)

// Frontier is how far one reader of the log has come: the highest id seen, the holes below it, and the page that is
// held back for what the holes may hold. It says which read comes next, and takes in what a read has brought. Each
// event that is committed is handed out exactly once, in a page, and each id that nothing will fill is returned once as
// gone.
//
// It does no input or output and has no clock: the caller reads (Log.After, Log.InHoles), one read at a time, and gives
// it the time. Only one goroutine uses it.
type Frontier struct {
	ordered bool // what a hole holds is handed out before what lies above it

	seen     int64 // the highest id read
	unread   bool  // there may be rows above it
	ringSeen int64 // how often the doorbell had rung when the reader woke
	newLast  bool  // the latest read was one of new rows
	held     *Page // read, but to be handed out only after what the holes below it hold; with order

	holes   idset.Holes
	wait    time.Duration // between two reads of them
	due     time.Time     // the next one
	reread  time.Time     // the end of the latest one
	settled bool          // all that the holes held which the reader began with is handed out
}

// NewFrontier begins where a reader has left off that is finished with the ids of done. The gaps of done are unfinished
// events, late ones, and ids that were never used: which, the first re-read shows.
func NewFrontier(done idset.Set, ordered bool) Frontier {
	f := Frontier{ordered: ordered, seen: done.Highest(), unread: true, wait: minHoleWait}
	for _, gap := range done.Gaps() {
		f.holes.Add(gap)
	}
	f.settled = len(f.holes) == 0
	return f
}

// SeenTo is the highest id read.
func (f *Frontier) SeenTo() int64 { return f.seen }

// Settled says whether what was in the gaps of the beginning is handed out, as far as it matters: without order it does
// not.
func (f *Frontier) Settled() bool { return !f.ordered || f.settled }

// Ring makes the reader read again, soon: the doorbell has rung that often.
func (f *Frontier) Ring(rings int64) {
	f.unread, f.ringSeen = true, rings
	f.due = f.reread.Add(time.Duration(f.holesAtOnce()) * perHole)
}

// Read is a kind of read.
type Read int

// The reads.
const (
	ReadNothing Read = iota
	ReadNew          // Log.After with After, then Arrived
	ReadHoles        // Log.InHoles with TakeHoles, then Reread
)

// Next says what to read now. otherDue: a read of another kind is due, and follows where this is ReadNothing. New
// events come first, but not twice while something else is due.
func (f *Frontier) Next(now time.Time, otherDue bool) Read {
	holesDue := len(f.holes) > 0 && !now.Before(f.due)
	switch {
	case f.held != nil:
		return ReadHoles
	case f.unread && !(f.newLast && (holesDue || otherDue)):
		return ReadNew
	case holesDue && !otherDue:
		return ReadHoles
	default:
		return ReadNothing
	}
}

// DueAt is when there will be something to read, as far as it is known. The zero time is at once.
func (f *Frontier) DueAt() (at time.Time, ok bool) {
	if f.unread || f.held != nil {
		return time.Time{}, true
	}
	return f.due, len(f.holes) > 0
}

// OtherRead takes in that a read of another kind begins.
func (f *Frontier) OtherRead() { f.newLast = false }

// After begins a read of new rows: those above id. Where there are none, the read has to begin after so many rings.
func (f *Frontier) After() (id, rings int64) {
	f.newLast = true
	return f.seen, f.ringSeen
}

// Arrived takes in a page of new rows, and returns it to be handed out, or nil where it is held back until the holes
// are read.
//
// With order, what was committed below the page before an event of it began to be written comes first: whatever has
// become visible there by a snapshot that is no older than the page's. Holes that the page itself shows hold nothing of
// that kind.
func (f *Frontier) Arrived(p *Page, now time.Time) *Page {
	if f.ordered && len(f.holes) > 0 && len(p.Records) > 0 {
		f.held = p
		return nil
	}
	f.pass(p, now)
	return p
}

// pass moves the frontier to the end of the page.
func (f *Frontier) pass(p *Page, now time.Time) {
	for _, s := range p.present {
		if s.Lo > f.seen+1 {
			f.holes.Add(idset.Span{Lo: f.seen + 1, Hi: s.Lo})
			f.wait, f.due = minHoleWait, now.Add(minHoleWait)
		}
		f.seen = s.Hi - 1
	}
	f.unread = p.cutOff || p.ringSeen < f.ringSeen // a page from before the ring does not show what rang
}

// TakeHoles begins a read of holes, and returns those to be read. Until Reread they are the read's own.
func (f *Frontier) TakeHoles() idset.Holes {
	f.newLast = false
	return f.holes.Take(f.holesAtOnce())
}

// holesAtOnce is how many holes the next read has. With order they are all, since what a hole holds comes before
// what any higher one does.
func (f *Frontier) holesAtOnce() int {
	if f.ordered {
		return len(f.holes)
	}
	return min(len(f.holes), maxHoles)
}

// Reread takes in the page that a read of the holes has brought. It is to be handed out, and after it held, the page
// that was held back for it, unless that is nil. gone are the ids that nothing can fill any more.
func (f *Frontier) Reread(p *Page, holes idset.Holes, now time.Time) (gone []idset.Span, held *Page) {
	f.reread = now
	gone = holes.Settle(p.present.IDs(), p.cutOff, p.xmin)
	f.holes = append(f.holes, holes...)
	switch {
	case p.cutOff:
		f.wait = 0
	case p.Rows+len(gone) > 0:
		f.wait = minHoleWait
	default:
		f.wait = min(max(minHoleWait, 2*f.wait), maxHoleWait)
	}
	f.due = now.Add(f.wait)
	if p.cutOff {
		return gone, nil
	}
	f.settled = true
	if held, f.held = f.held, nil; held != nil {
		f.pass(held, now)
	}
	return gone, held
}

// AwaitHorizon takes in that a transaction will be given its number from now on: the holes known by now may take that
// for their horizon, but not those that a read shows before SetHorizon.
func (f *Frontier) AwaitHorizon() { f.holes.AwaitHorizon() }

// SetHorizon gives the holes that await it the number of that transaction.
func (f *Frontier) SetHorizon(number int64) { f.holes.SetAwaited(number) }
