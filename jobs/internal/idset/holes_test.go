package idset

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSettleHoles(t *testing.T) {
	for name, test := range map[string]struct {
		holes  Holes
		found  []int64
		cutOff bool
		xmin   int64
		left   Holes
		gone   []Span
	}{
		"nothing found, still fillable": {
			holes: Holes{{Span{5, 8}, 100}}, xmin: 99,
			left: Holes{{Span{5, 8}, 100}},
		},
		"nothing found, nothing can fill it": {
			holes: Holes{{Span{5, 8}, 100}}, xmin: 100,
			gone: []Span{{5, 8}},
		},
		"found one in the middle": {
			holes: Holes{{Span{5, 8}, 100}}, found: []int64{6}, xmin: 99,
			left: Holes{{Span{5, 6}, 100}, {Span{7, 8}, 100}},
		},
		"found one, the rest is gone": {
			holes: Holes{{Span{5, 8}, 100}}, found: []int64{5}, xmin: 101,
			gone: []Span{{6, 8}},
		},
		"nothing found, horizon not known": {
			holes: Holes{{Span{5, 8}, 0}}, xmin: 120,
			left: Holes{{Span{5, 8}, 0}},
		},
		"what the limit cut off stays as it was": {
			holes: Holes{{Span{1, 4}, 0}, {Span{5, 9}, 0}, {Span{20, 22}, 7}}, found: []int64{1, 2, 3, 5, 6},
			cutOff: true, xmin: 50,
			left: Holes{{Span{7, 9}, 0}, {Span{20, 22}, 7}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := slices.Clone(test.holes)
			gone := got.Settle(test.found, test.cutOff, test.xmin)
			if diff := cmp.Diff(test.left, got, cmp.AllowUnexported(Span{}, hole{})); diff != "" {
				t.Errorf("left: -want +got\n%s", diff)
			}
			if diff := cmp.Diff(test.gone, gone, cmp.AllowUnexported(Span{})); diff != "" {
				t.Errorf("gone: -want +got\n%s", diff)
			}
		})
	}
}

// Only a number that was given out after the read which showed the hole may be its horizon.
func TestHorizonOfTheWriteUnderWay(t *testing.T) {
	var h Holes
	h.Add(Span{1, 2})
	h.AwaitHorizon()
	h.Add(Span{3, 4}) // shown by a read during the write
	if !h.LackHorizon() {
		t.Error("a hole that waits for the write counts as limited")
	}
	h.SetAwaited(7)
	want := Holes{{Span{1, 2}, 7}, {Span{3, 4}, 0}}
	if diff := cmp.Diff(want, h, cmp.AllowUnexported(hole{}, Span{})); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	h.AwaitHorizon()
	if gone := h.Settle(nil, false, 6); len(gone) != 0 {
		t.Errorf("%v gone before anything could show it", gone)
	}
}
