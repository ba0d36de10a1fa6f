package keys

import (
	"fmt"
	"testing"
)

// Beyond a bound all keys count as blocked, until a read of the table shows that they are few again. What such a read
// may have missed is not forgotten.
func TestTooManyKeys(t *testing.T) {
	k := New()
	for i := range MaxBlocked {
		k.Block(fmt.Sprint(i))
	}
	if k.all || k.Blocked("other") {
		t.Fatal("too soon")
	}
	k.started, k.ended = 1, 1 // these have rows now
	k.Block("new")
	if !k.Blocked("other") || len(k.blocked) != 1 {
		t.Fatalf("all: %t, %d keys", k.all, len(k.blocked))
	}
	if !k.Stale("new", Mark{Writes: 1}) || k.Stale("other", Mark{Writes: 1}) {
		t.Error("the new key's rows are taken for complete, or another one's are not")
	}
	k.loading = true
	k.started, k.ended = 2, 2
	k.Block("newer")
	k.Load([]string{"old"}) // began before the row of the new one was there
	if k.all || !k.Blocked("old") || !k.Blocked("new") || !k.Blocked("newer") || k.Blocked("other") {
		t.Errorf("after the read: all: %t, keys: %v", k.all, k.blocked)
	}
}
