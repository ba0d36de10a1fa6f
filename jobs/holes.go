package jobs

import "math"

// hole is a run of ids below the highest one seen whose rows were not visible: their transactions still run, or rolled back.
// Only a transaction with a number below horizon can fill it (0: not known yet), because an id is given out only to a
// transaction that has its number, and the snapshot that showed the hole also showed a higher id.
type hole struct {
	span
	horizon int64
}

// holes are the holes of one cursor, in order of their ids.
type holes []hole

func (h *holes) add(s span, horizon int64) {
	if s.lo < s.hi {
		*h = append(*h, hole{s, horizon})
	}
}

// bounds returns the holes as two arrays for SQL.
func (h holes) bounds() (los, his []int64) {
	los, his = make([]int64, len(h)), make([]int64, len(h))
	for i, hole := range h {
		los[i], his[i] = hole.lo, hole.hi
	}
	return los, his
}

// settle takes in a re-read: the ids of the rows that it found, ascending, and the bounds of its snapshot. Where the read was
// cut off by its limit, holes above the last id found were not read. Found ids leave their holes; what is left of a hole that
// nothing can fill any more is dropped and returned.
func (h *holes) settle(found []int64, cutOff bool, xmin, xmax int64) (gone []span) {
	readUpTo := int64(math.MaxInt64)
	if cutOff {
		readUpTo = found[len(found)-1]
	}
	var left holes
	keep := func(s span, horizon int64) {
		switch {
		case s.lo >= s.hi:
		case horizon != 0 && horizon <= xmin: // every transaction that could have filled it had ended
			gone = append(gone, s)
		case horizon == 0:
			left = append(left, hole{s, xmax})
		default:
			left = append(left, hole{s, horizon})
		}
	}
	for _, old := range *h {
		next := old.lo
		for len(found) > 0 && found[0] < old.hi {
			keep(span{next, found[0]}, old.horizon)
			next = found[0] + 1
			found = found[1:]
		}
		if old.hi-1 <= readUpTo {
			keep(span{next, old.hi}, old.horizon)
		} else {
			unread := max(next, readUpTo+1)
			keep(span{next, unread}, old.horizon)
			left = append(left, hole{span{unread, old.hi}, old.horizon})
		}
	}
	*h = left
	return gone
}
