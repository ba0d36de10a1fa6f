package logread

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgsolo/pgsolo/jobs/internal/idset"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// pageOf is a page with records of the ids.
func pageOf(ids ...int64) *Page {
	p := &Page{Rows: len(ids)}
	for _, id := range ids {
		p.Records = append(p.Records, Record{ID: id})
		p.present.Add(idset.One(id))
	}
	return p
}

// A page from before the ring does not let the reader sleep.
func TestPageFromBeforeTheRing(t *testing.T) {
	for ringSeen, unread := range map[int64]bool{1: true, 2: false, 3: false} {
		f := NewFrontier(nil, false)
		f.Ring(2)
		f.Arrived(&Page{ringSeen: ringSeen}, epoch)
		if _, due := f.DueAt(); due != unread {
			t.Errorf("after a page that was read after ring %d and before the next: reads on: %t, want %t", ringSeen,
				due, unread)
		}
	}
}

// New rows come first, but not twice while something else is due.
func TestFrontierTakesTurns(t *testing.T) {
	f := NewFrontier(idset.Set{idset.One(2)}, false)
	var got []Read
	for range 5 {
		f.Ring(0)
		next := f.Next(epoch, false)
		got = append(got, next)
		switch next {
		case ReadNew:
			f.After()
			f.Arrived(&Page{}, epoch)
		case ReadHoles:
			f.Reread(&Page{}, f.TakeHoles(), epoch.Add(-time.Second))
		}
	}
	if diff := cmp.Diff([]Read{ReadNew, ReadHoles, ReadNew, ReadHoles, ReadNew}, got); diff != "" {
		t.Errorf("reads -want +got\n%s", diff)
	}
	f.After()
	f.Ring(0)
	if next := f.Next(epoch, true); next != ReadNothing {
		t.Errorf("reads %d although another read is due", next)
	}
	f.OtherRead()
	if next := f.Next(epoch, true); next != ReadNew {
		t.Errorf("reads %d after the other one, want new rows", next)
	}
}

// With order a page waits until all holes below it were read, however many pages that takes; what they held comes
// first.
func TestPageIsHeldBack(t *testing.T) {
	f := NewFrontier(idset.Set{idset.One(4)}, true)
	if f.Settled() {
		t.Error("settled although nothing was read")
	}
	if p := f.Arrived(pageOf(5, 7), epoch); p != nil || f.SeenTo() != 4 {
		t.Fatalf("handed out: %v; seen to %d", p, f.SeenTo())
	}
	late := pageOf(1)
	late.cutOff = true
	if _, held := f.Reread(late, f.TakeHoles(), epoch); held != nil || f.Settled() {
		t.Error("the page is handed out before all holes were read")
	}
	if next := f.Next(epoch, true); next != ReadHoles {
		t.Errorf("reads %d, want holes whatever else is due", next)
	}
	if _, held := f.Reread(pageOf(2), f.TakeHoles(), epoch); held == nil || f.SeenTo() != 7 || !f.Settled() {
		t.Errorf("handed out: %v; seen to %d", held, f.SeenTo())
	}
	if p := f.Arrived(&Page{Rows: 1, present: idset.Set{idset.One(8)}}, epoch); p == nil {
		t.Error("a page without records is held back")
	}
}

// Holes are read less and less often while nothing changes, and at once when the doorbell rings.
func TestHolesAreReadLessOften(t *testing.T) {
	f := NewFrontier(nil, false)
	f.Arrived(pageOf(1, 3), epoch)
	now := epoch
	var waits []time.Duration
	for range 9 {
		at, _ := f.DueAt()
		waits = append(waits, at.Sub(now))
		if f.Next(at.Add(-1), false) != ReadNothing || f.Next(at, false) != ReadHoles {
			t.Fatalf("not due at %s alone", at)
		}
		now = at
		f.Reread(&Page{xmin: 1}, f.TakeHoles(), now)
	}
	want := []time.Duration{2, 4, 8, 16, 32, 64, 128, 250, 250}
	for i := range want {
		want[i] *= time.Millisecond
	}
	if diff := cmp.Diff(want, waits); diff != "" {
		t.Errorf("waits -want +got\n%s", diff)
	}
	f.Ring(1)
	f.Arrived(&Page{ringSeen: 1}, now)
	if at, ok := f.DueAt(); !ok || at != now.Add(perHole) {
		t.Errorf("after a ring the hole is due %s after the latest read", at.Sub(now))
	}
}

// A write of progress brings a horizon for the holes that were known when it began, and for no other one.
func TestHorizonOfAWrite(t *testing.T) {
	f := NewFrontier(nil, false)
	f.Arrived(pageOf(2), epoch)
	f.AwaitHorizon()
	f.Arrived(pageOf(4), epoch)
	f.SetHorizon(10)
	gone, _ := f.Reread(&Page{xmin: 10}, f.TakeHoles(), epoch)
	if diff := cmp.Diff([]idset.Span{idset.One(1)}, gone); diff != "" {
		t.Errorf("gone -want +got\n%s", diff)
	}
	holes := f.TakeHoles()
	if len(holes) != 1 || !holes.LackHorizon() {
		t.Errorf("holes %v, want one without a horizon", holes)
	}
}
