// Package idset is sets of ids: those that are done, and the holes below the highest one seen. It does no input or
// output, and locks nothing: while one goroutine changes a value, no other may use it.
package idset

import (
	"sort"

	"github.com/jackc/pgx/v5/pgtype"
)

// Span is the ids from Lo up to, not including, Hi.
type Span struct{ Lo, Hi int64 }

// One is the span of a single id.
func One(id int64) Span { return Span{id, id + 1} }

// Set is a set of ids as sorted spans that neither overlap nor touch.
type Set []Span

// Add puts the ids of s into the set. Ids mostly come in order, so the end is tried first.
func (r *Set) Add(s Span) {
	if s.Lo >= s.Hi {
		return
	}
	set := *r
	if n := len(set); n == 0 || s.Lo > set[n-1].Hi {
		*r = append(set, s)
		return
	}
	first := sort.Search(len(set), func(i int) bool { return set[i].Hi >= s.Lo }) // the first that s can join
	last := first
	for last < len(set) && set[last].Lo <= s.Hi {
		s.Lo, s.Hi = min(s.Lo, set[last].Lo), max(s.Hi, set[last].Hi)
		last++
	}
	if last == first {
		set = append(set, Span{})
		copy(set[first+1:], set[first:])
	} else {
		set = append(set[:first+1], set[last:]...)
	}
	set[first] = s
	*r = set
}

// Gaps returns what the set lacks between the ids 1 and its own highest.
func (r Set) Gaps() []Span {
	var gaps []Span
	next := int64(1)
	for _, s := range r {
		if s.Lo > next {
			gaps = append(gaps, Span{next, s.Lo})
		}
		next = s.Hi
	}
	return gaps
}

// Highest returns the highest id of the set, or 0.
func (r Set) Highest() int64 {
	if len(r) == 0 {
		return 0
	}
	return r[len(r)-1].Hi - 1
}

// Size returns how many ids the set has.
func (r Set) Size() int {
	n := int64(0)
	for _, s := range r {
		n += s.Hi - s.Lo
	}
	return int(n)
}

// Above returns the part of the set above id. It may share memory with the set.
func (r Set) Above(id int64) Set {
	first := sort.Search(len(r), func(i int) bool { return r[i].Hi > id+1 })
	if first == len(r) || r[first].Lo > id {
		return r[first:]
	}
	return append(Set{{id + 1, r[first].Hi}}, r[first+1:]...)
}

// IDs lists the set.
func (r Set) IDs() []int64 {
	ids := make([]int64, 0, r.Size())
	for _, s := range r {
		for id := s.Lo; id < s.Hi; id++ {
			ids = append(ids, id)
		}
	}
	return ids
}

// Multirange is PostgreSQL's int8multirange.
type Multirange = pgtype.Multirange[pgtype.Range[pgtype.Int8]]

// Encode makes the set a parameter of a statement.
func (r Set) Encode() Multirange {
	encoded := make(Multirange, len(r))
	for i, s := range r {
		encoded[i] = pgtype.Range[pgtype.Int8]{
			Lower: pgtype.Int8{Int64: s.Lo, Valid: true}, LowerType: pgtype.Inclusive,
			Upper: pgtype.Int8{Int64: s.Hi, Valid: true}, UpperType: pgtype.Exclusive,
			Valid: true,
		}
	}
	return encoded
}

// Decode trusts what PostgreSQL guarantees of an int8multirange: bounds in canonical form, in order, apart.
func Decode(encoded Multirange) Set {
	var set Set
	for _, s := range encoded {
		set = append(set, Span{s.Lower.Int64, s.Upper.Int64})
	}
	return set
}
