package logread

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgsolo/pgsolo/jobs/internal/idset"
)

// Whatever their sizes, values keep their bytes, also when one is appended to.
func TestArena(t *testing.T) {
	var (
		a       Arena
		want    [][]byte
		got     [][]byte
		strings []string
	)
	for i := range 2000 {
		value := bytes.Repeat([]byte{byte(i)}, i*i%997)
		if i%500 == 499 {
			value = bytes.Repeat([]byte{byte(i)}, maxChunk+i)
		}
		want = append(want, value)
		got = append(got, a.Bytes(value))
		strings = append(strings, a.string(value))
	}
	for i := range got {
		if appended := append(got[i], "overwrites?"...); len(appended) != len(want[i])+len("overwrites?") {
			t.Fatal("not appended")
		}
	}
	for i := range want {
		if !bytes.Equal(got[i], want[i]) || strings[i] != string(want[i]) {
			t.Fatalf("value %d is not what it was", i)
		}
	}
}

func TestPageAbove(t *testing.T) {
	p := &Page{
		after: 1, ringSeen: 3, Rows: 4, cutOff: true, Records: []Record{{ID: 3}, {ID: 7}, {ID: 8}},
		present: idset.Set{{Lo: 3, Hi: 4}, {Lo: 6, Hi: 9}}, Foreign: idset.Set{{Lo: 6, Hi: 7}},
	}
	for id, want := range map[int64]Page{
		0: *p, // all that it has
		1: *p,
		3: {after: 3, ringSeen: 3, Rows: 3, cutOff: true, Records: p.Records[1:], present: idset.Set{{Lo: 6, Hi: 9}},
			Foreign: idset.Set{{Lo: 6, Hi: 7}}},
		6: {after: 6, ringSeen: 3, Rows: 2, cutOff: true, Records: p.Records[1:], present: idset.Set{{Lo: 7, Hi: 9}},
			Foreign: idset.Set{}},
		7: {after: 7, ringSeen: 3, Rows: 1, cutOff: true, Records: p.Records[2:], present: idset.Set{{Lo: 8, Hi: 9}},
			Foreign: idset.Set{}},
		8: {after: 8, ringSeen: 3, Rows: 0, cutOff: true, Records: []Record{}, present: idset.Set{},
			Foreign: idset.Set{}},
	} {
		if diff := cmp.Diff(want, p.above(id), cmp.AllowUnexported(Page{}, Record{}, idset.Span{})); diff != "" {
			t.Errorf("above %d: -want +got\n%s", id, diff)
		}
	}
}
