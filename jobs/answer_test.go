package jobs

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/jobs/internal/text"
)

// badError is what a handler returns that mistakes a nil pointer for no error.
type badError struct{ cause error }

func (e *badError) Error() string { return e.cause.Error() }

func (e *badError) Unwrap() error { return e.cause }

func TestErrorTextSurvivesBadErrors(t *testing.T) {
	for want, err := range map[string]error{
		"<nil>":                 (*badError)(nil),
		"a\uFFFDb\uFFFD":        errors.New("a\x00b\xff"),
		errAskedAgain.Error():   RetryAfter(time.Second, nil),
		errDiscarded.Error():    Discard(nil),
		"wrapped: no such user": fmt.Errorf("wrapped: %w", Discard(errors.New("no such user"))),
	} {
		if got := text.Error(err); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
