package loop

import (
	"context"
	"errors"
	"testing"
	"time"
)

// The next step begins when the one before has ended, or has taken too long, and then its end is of no account.
func TestTurns(t *testing.T) {
	turns, stopped := NewTurns(), errors.New("stopped")
	first, err := turns.Take(t.Context(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stopped)
	if _, err := turns.Take(ctx, time.Hour); !errors.Is(err, stopped) {
		t.Errorf("while another step runs: %v, want %v", err, stopped)
	}
	first()
	second, err := turns.Take(t.Context(), time.Nanosecond)
	if err != nil {
		t.Fatal(err)
	}
	third, err := turns.Take(t.Context(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	second()
	if _, err := turns.Take(ctx, time.Hour); err == nil {
		t.Error("the end of a step that has taken too long ended the turn of another one")
	}
	third()
}
