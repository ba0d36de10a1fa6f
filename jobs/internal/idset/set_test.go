package idset

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func FuzzRanges(f *testing.F) {
	f.Add([]byte{1, 3, 5, 2, 3, 1})
	f.Add([]byte{9, 1, 1, 9, 5, 5, 0, 255})
	f.Fuzz(func(t *testing.T, steps []byte) {
		var set Set
		want := map[int64]bool{}
		for ; len(steps) >= 2; steps = steps[2:] {
			s := Span{int64(steps[0]) + 1, int64(steps[0]) + 1 + int64(steps[1]%8)}
			set.Add(s)
			for id := s.Lo; id < s.Hi; id++ {
				want[id] = true
			}
		}
		got := map[int64]bool{}
		for i, s := range set {
			if s.Lo >= s.Hi || i > 0 && s.Lo <= set[i-1].Hi {
				t.Fatalf("%v: spans are empty, overlap or touch", set)
			}
			for id := s.Lo; id < s.Hi; id++ {
				got[id] = true
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("-want +got\n%s", diff)
		}
		for _, gap := range set.Gaps() {
			for id := gap.Lo; id < gap.Hi; id++ {
				if want[id] {
					t.Fatalf("%v: gap %v has %d", set, gap, id)
				}
				got[id] = true
			}
		}
		for id := int64(1); id <= set.Highest(); id++ {
			if !got[id] {
				t.Fatalf("%v: %d is neither in the set nor in a gap", set, id)
			}
		}
		for id := int64(0); id <= set.Highest()+1; id++ {
			var above []int64
			for _, other := range set.IDs() {
				if other > id {
					above = append(above, other)
				}
			}
			if part := set.Above(id); !slices.Equal(part.IDs(), above) || part.Size() != len(above) {
				t.Fatalf("%v above %d: %v", set, id, part)
			}
		}
		if len(set.IDs()) != len(want) {
			t.Fatalf("%v: ids %v", set, set.IDs())
		}
		if diff := cmp.Diff(set, Decode(set.Encode()), cmp.AllowUnexported(Span{})); diff != "" {
			t.Fatalf("encoded and back: -want +got\n%s", diff)
		}
	})
}
