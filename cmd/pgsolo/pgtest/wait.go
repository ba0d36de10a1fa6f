package pgtest

import (
	"testing"
	"time"
)

// Patience is how long a test waits for what must happen: far longer than any mechanism under test should take, also on
// a machine that has other things to do.
const Patience = time.Minute

// pollInterval is the time between two checks of Eventually.
const pollInterval = 5 * time.Millisecond

// Eventually polls, for Patience at most, until a condition holds that nothing announces.
func Eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(Patience)
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("waited too long for %s", what)
		}
	}
}

// Within receives a value, for which it waits for Patience at most. A closed channel yields the zero value.
func Within[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(Patience):
		t.Fatalf("waited too long for %s", what)
		panic("unreachable")
	}
}

// Quickly wants something done within a time in which it happens only if nothing in it waits for a slow backstop. The
// function returns how long that took. A machine that has other things to do gets three tries.
func Quickly(t testing.TB, limit time.Duration, do func() time.Duration) {
	t.Helper()
	var took [3]time.Duration
	for i := range took {
		if took[i] = do(); took[i] <= limit || t.Failed() {
			return
		}
	}
	t.Errorf("took %s, want at most %s", took, limit)
}
