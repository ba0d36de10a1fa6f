package idset

import (
	"cmp"
	"math"
	"slices"
)

// hole is a run of ids below the highest one seen whose rows were not visible: their transactions still run, or rolled
// back. Only a transaction with a number below horizon can fill it. An id is given out only to a transaction that has
// its number, so any number given out after the read that showed the hole will do; 0 means that none is known yet, and
// awaiting that a write under way will bring one. The xmax of that read's snapshot would not do: it is above the last
// number that has ended, not above the last that was given out.
type hole struct {
	Span
	horizon int64
}

// Holes are the holes of one reader, in any order but for Settle and Bounds.
type Holes []hole

// Add puts in a hole without a horizon, unless the span is empty.
func (h *Holes) Add(s Span) {
	if s.Lo < s.Hi {
		*h = append(*h, hole{s, 0})
	}
}

// awaiting is the horizon of a hole that takes that of the write under way, which began after the read that showed the
// hole.
const awaiting = -1

// SetHorizon sets that of the holes that have none.
func (h Holes) SetHorizon(horizon int64) {
	for i := range h {
		if h[i].horizon <= 0 {
			h[i].horizon = horizon
		}
	}
}

// AwaitHorizon marks the holes that have no horizon for SetAwaited.
func (h Holes) AwaitHorizon() { h.SetHorizon(awaiting) }

// SetAwaited sets the horizon of the holes that were there at the latest call of AwaitHorizon.
func (h Holes) SetAwaited(horizon int64) {
	for i := range h {
		if h[i].horizon == awaiting {
			h[i].horizon = horizon
		}
	}
}

// LackHorizon says whether a hole has no horizon yet.
func (h Holes) LackHorizon() bool {
	return slices.ContainsFunc(h, func(h hole) bool { return h.horizon <= 0 })
}

// Take removes at most n holes, and returns them in order of their ids. What is put back later comes last, so that all
// get their turn.
func (h *Holes) Take(n int) Holes {
	n = min(n, len(*h))
	taken := slices.Clone((*h)[:n])
	*h = (*h)[n:]
	slices.SortFunc(taken, func(a, b hole) int { return cmp.Compare(a.Lo, b.Lo) })
	return taken
}

// Bounds returns the holes as two arrays for SQL.
func (h Holes) Bounds() (los, his []int64) {
	los, his = make([]int64, len(h)), make([]int64, len(h))
	for i, hole := range h {
		los[i], his[i] = hole.Lo, hole.Hi
	}
	return los, his
}

// Settle takes in a re-read: the ids of the rows that it found, ascending, and the xmin of its snapshot, below which
// every transaction has ended. Where the read was cut off, holes above the last id found were not read. Found ids leave
// their holes; what is left of a hole that nothing can fill any more is dropped and returned.
func (h *Holes) Settle(found []int64, cutOff bool, xmin int64) (gone []Span) {
	readUpTo := int64(math.MaxInt64)
	if cutOff {
		readUpTo = found[len(found)-1]
	}
	var left Holes
	keep := func(s Span, horizon int64) {
		switch {
		case s.Lo >= s.Hi:
		case horizon > 0 && horizon <= xmin: // every transaction that could have filled it had ended
			gone = append(gone, s)
		default:
			left = append(left, hole{s, horizon})
		}
	}
	for _, old := range *h {
		next := old.Lo
		for len(found) > 0 && found[0] < old.Hi {
			keep(Span{next, found[0]}, old.horizon)
			next = found[0] + 1
			found = found[1:]
		}
		if old.Hi-1 <= readUpTo {
			keep(Span{next, old.Hi}, old.horizon)
		} else {
			unread := max(next, readUpTo+1)
			keep(Span{next, unread}, old.horizon)
			left = append(left, hole{Span{unread, old.Hi}, old.horizon})
		}
	}
	*h = left
	return gone
}

// Open returns how many holes have a horizon above that number, and the lowest and the highest of those.
func (h Holes) Open(number int64) (n int, lowest, highest int64) {
	for _, hole := range h {
		if hole.horizon > number {
			if n++; n == 1 || hole.horizon < lowest {
				lowest = hole.horizon
			}
			highest = max(highest, hole.horizon)
		}
	}
	return n, lowest, highest
}
