package jobs

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func FuzzRanges(f *testing.F) {
	f.Add([]byte{1, 3, 5, 2, 3, 1})
	f.Add([]byte{9, 1, 1, 9, 5, 5, 0, 255})
	f.Fuzz(func(t *testing.T, steps []byte) {
		var set ranges
		want := map[int64]bool{}
		for ; len(steps) >= 2; steps = steps[2:] {
			s := span{int64(steps[0]) + 1, int64(steps[0]) + 1 + int64(steps[1]%8)}
			set.add(s)
			for id := s.lo; id < s.hi; id++ {
				want[id] = true
			}
		}
		got := map[int64]bool{}
		for i, s := range set {
			if s.lo >= s.hi || i > 0 && s.lo <= set[i-1].hi {
				t.Fatalf("%v: spans are empty, overlap or touch", set)
			}
			for id := s.lo; id < s.hi; id++ {
				got[id] = true
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("-want +got\n%s", diff)
		}
		for _, gap := range set.gaps() {
			for id := gap.lo; id < gap.hi; id++ {
				if want[id] {
					t.Fatalf("%v: gap %v has %d", set, gap, id)
				}
				got[id] = true
			}
		}
		for id := int64(1); id <= set.highest(); id++ {
			if !got[id] {
				t.Fatalf("%v: %d is neither in the set nor in a gap", set, id)
			}
		}
		for id := int64(0); id <= set.highest()+1; id++ {
			var above []int64
			for _, other := range set.ids() {
				if other > id {
					above = append(above, other)
				}
			}
			if part := set.above(id); !slices.Equal(part.ids(), above) || part.size() != len(above) {
				t.Fatalf("%v above %d: %v", set, id, part)
			}
		}
		if len(set.ids()) != len(want) {
			t.Fatalf("%v: ids %v", set, set.ids())
		}
		if diff := cmp.Diff(set, decodeRanges(set.encode()), cmp.AllowUnexported(span{})); diff != "" {
			t.Fatalf("encoded and back: -want +got\n%s", diff)
		}
	})
}

func TestSettleHoles(t *testing.T) {
	for name, test := range map[string]struct {
		holes  holes
		found  []int64
		cutOff bool
		xmin   int64
		left   holes
		gone   []span
	}{
		"nothing found, still fillable": {
			holes: holes{{span{5, 8}, 100}}, xmin: 99,
			left: holes{{span{5, 8}, 100}},
		},
		"nothing found, nothing can fill it": {
			holes: holes{{span{5, 8}, 100}}, xmin: 100,
			gone: []span{{5, 8}},
		},
		"found one in the middle": {
			holes: holes{{span{5, 8}, 100}}, found: []int64{6}, xmin: 99,
			left: holes{{span{5, 6}, 100}, {span{7, 8}, 100}},
		},
		"found one, the rest is gone": {
			holes: holes{{span{5, 8}, 100}}, found: []int64{5}, xmin: 101,
			gone: []span{{6, 8}},
		},
		"nothing found, horizon not known": {
			holes: holes{{span{5, 8}, 0}}, xmin: 120,
			left: holes{{span{5, 8}, 0}},
		},
		"what the limit cut off stays as it was": {
			holes: holes{{span{1, 4}, 0}, {span{5, 9}, 0}, {span{20, 22}, 7}}, found: []int64{1, 2, 3, 5, 6}, cutOff: true, xmin: 50,
			left: holes{{span{7, 9}, 0}, {span{20, 22}, 7}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := slices.Clone(test.holes)
			gone := got.settle(test.found, test.cutOff, test.xmin)
			if diff := cmp.Diff(test.left, got, cmp.AllowUnexported(span{}, hole{})); diff != "" {
				t.Errorf("left: -want +got\n%s", diff)
			}
			if diff := cmp.Diff(test.gone, gone, cmp.AllowUnexported(span{})); diff != "" {
				t.Errorf("gone: -want +got\n%s", diff)
			}
		})
	}
}
