package jobs

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Whatever their sizes, values keep their bytes, also when somebody appends to one.
func TestArena(t *testing.T) {
	var (
		a       arena
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
		got = append(got, a.bytes(value))
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
	p := &page{
		after: 1, rung: 3, rows: 4, cutOff: true, records: []record{{id: 3}, {id: 7}, {id: 8}},
		present: ranges{{3, 4}, {6, 9}}, foreign: ranges{{6, 7}},
	}
	for id, want := range map[int64]page{
		0: *p, // all that it has
		1: *p,
		3: {after: 3, rung: 3, rows: 3, cutOff: true, records: p.records[1:], present: ranges{{6, 9}}, foreign: ranges{{6, 7}}},
		6: {after: 6, rung: 3, rows: 2, cutOff: true, records: p.records[1:], present: ranges{{7, 9}}, foreign: ranges{}},
		7: {after: 7, rung: 3, rows: 1, cutOff: true, records: p.records[2:], present: ranges{{8, 9}}, foreign: ranges{}},
		8: {after: 8, rung: 3, rows: 0, cutOff: true, records: []record{}, present: ranges{}, foreign: ranges{}},
	} {
		if diff := cmp.Diff(want, p.above(id), cmp.AllowUnexported(page{}, record{}, span{})); diff != "" {
			t.Errorf("above %d: -want +got\n%s", id, diff)
		}
	}
}
