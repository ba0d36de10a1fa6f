package jobs

import (
	"sort"

	"github.com/jackc/pgx/v5/pgtype"
)

// span is the ids from lo up to, not including, hi.
type span struct{ lo, hi int64 }

// ranges is a set of ids as sorted spans that neither overlap nor touch.
type ranges []span

// add puts the ids of s into the set. Ids mostly come in order, so the end is tried first.
func (r *ranges) add(s span) {
	if s.lo >= s.hi {
		return
	}
	set := *r
	if n := len(set); n == 0 || s.lo > set[n-1].hi {
		*r = append(set, s)
		return
	}
	first := sort.Search(len(set), func(i int) bool { return set[i].hi >= s.lo }) // the first that s can join
	last := first
	for last < len(set) && set[last].lo <= s.hi {
		s.lo, s.hi = min(s.lo, set[last].lo), max(s.hi, set[last].hi)
		last++
	}
	if last == first {
		set = append(set, span{})
		copy(set[first+1:], set[first:])
	} else {
		set = append(set[:first+1], set[last:]...)
	}
	set[first] = s
	*r = set
}

// gaps returns what the set lacks between the ids 1 and its own highest.
func (r ranges) gaps() []span {
	var gaps []span
	next := int64(1)
	for _, s := range r {
		if s.lo > next {
			gaps = append(gaps, span{next, s.lo})
		}
		next = s.hi
	}
	return gaps
}

// highest returns the highest id of the set, or 0.
func (r ranges) highest() int64 {
	if len(r) == 0 {
		return 0
	}
	return r[len(r)-1].hi - 1
}

// size returns how many ids the set has.
func (r ranges) size() int {
	n := int64(0)
	for _, s := range r {
		n += s.hi - s.lo
	}
	return int(n)
}

// above returns the part of the set above id. It may share memory with the set.
func (r ranges) above(id int64) ranges {
	first := sort.Search(len(r), func(i int) bool { return r[i].hi > id+1 })
	if first == len(r) || r[first].lo > id {
		return r[first:]
	}
	return append(ranges{{id + 1, r[first].hi}}, r[first+1:]...)
}

// ids lists the set.
func (r ranges) ids() []int64 {
	ids := make([]int64, 0, r.size())
	for _, s := range r {
		for id := s.lo; id < s.hi; id++ {
			ids = append(ids, id)
		}
	}
	return ids
}

// multirange is PostgreSQL's int8multirange.
type multirange = pgtype.Multirange[pgtype.Range[pgtype.Int8]]

func (r ranges) encode() multirange {
	encoded := make(multirange, len(r))
	for i, s := range r {
		encoded[i] = pgtype.Range[pgtype.Int8]{
			Lower: pgtype.Int8{Int64: s.lo, Valid: true}, LowerType: pgtype.Inclusive,
			Upper: pgtype.Int8{Int64: s.hi, Valid: true}, UpperType: pgtype.Exclusive,
			Valid: true,
		}
	}
	return encoded
}

// decodeRanges trusts what PostgreSQL guarantees of an int8multirange: bounds in canonical form, in order, apart.
func decodeRanges(encoded multirange) ranges {
	var set ranges
	for _, s := range encoded {
		set = append(set, span{s.Lower.Int64, s.Upper.Int64})
	}
	return set
}
