package queue

import (
	"testing"

	"github.com/pgsolo/pgsolo/jobs/internal/logread"
)

// The loop is told when the workers have taken so much that it should read on.
func TestLowQueue(t *testing.T) {
	q := New(false)
	q.Push([]logread.Record{{ID: 1}, {ID: 2}, {ID: 3}})
	if q.HasRoom(1) {
		t.Error("there is room although three wait")
	}
	for _, low := range []int{0, 1} {
		if q.Next(); len(q.Low) != low {
			t.Errorf("told %d times, want %d", len(q.Low), low)
		}
	}
	if !q.HasRoom(1) {
		t.Error("there is no room although one waits")
	}
}
