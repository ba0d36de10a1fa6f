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
func (set *Set) Add(s Span) {
	if s.Lo >= s.Hi {
		return
	}
	spans := *set
	if n := len(spans); n == 0 || s.Lo > spans[n-1].Hi {
		*set = append(spans, s)
		return
	}
	first := sort.Search(len(spans), func(i int) bool { return spans[i].Hi >= s.Lo }) // the first that s can join
	last := first
	for last < len(spans) && spans[last].Lo <= s.Hi {
		s.Lo, s.Hi = min(s.Lo, spans[last].Lo), max(s.Hi, spans[last].Hi)
		last++
	}
	if last == first {
		spans = append(spans, Span{})
		copy(spans[first+1:], spans[first:])
	} else {
		spans = append(spans[:first+1], spans[last:]...)
	}
	spans[first] = s
	*set = spans
}

// Gaps returns what the set lacks between the ids 1 and its own highest.
func (set Set) Gaps() []Span {
	var gaps []Span
	next := int64(1)
	for _, s := range set {
		if s.Lo > next {
			gaps = append(gaps, Span{next, s.Lo})
		}
		next = s.Hi
	}
	return gaps
}

// Highest returns the highest id of the set, or 0.
func (set Set) Highest() int64 {
	if len(set) == 0 {
		return 0
	}
	return set[len(set)-1].Hi - 1
}

// Size returns how many ids the set has.
func (set Set) Size() int {
	n := int64(0)
	for _, s := range set {
		n += s.Hi - s.Lo
	}
	return int(n)
}

// Above returns the part of the set above id. It may share memory with the set.
func (set Set) Above(id int64) Set {
	first := sort.Search(len(set), func(i int) bool { return set[i].Hi > id+1 })
	if first == len(set) || set[first].Lo > id {
		return set[first:]
	}
	return append(Set{{id + 1, set[first].Hi}}, set[first+1:]...)
}

// IDs lists the set.
func (set Set) IDs() []int64 {
	ids := make([]int64, 0, set.Size())
	for _, s := range set {
		for id := s.Lo; id < s.Hi; id++ {
			ids = append(ids, id)
		}
	}
	return ids
}

// Multirange is PostgreSQL's int8multirange.
type Multirange = pgtype.Multirange[pgtype.Range[pgtype.Int8]]

// Encode makes the set a parameter of a statement.
func (set Set) Encode() Multirange {
	encoded := make(Multirange, len(set))
	for i, s := range set {
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
